/**
 * The real gateway in this process, in front of fake engines: opened on a data directory of its own, with a key, and
 * with a ledger of everything the bus said. Its disposal holds that nothing was left open: no slot, Lease, Ticket or
 * exchange, and no error inside FLM.
 */
import { expect } from 'bun:test';
import { type App, openApp, type ServeOptions } from '../../../src/app';
import type { ConfigSnapshot } from '../../../src/config';
import type { Clock, EngineKind, RequestFacts } from '../../../src/contract';
import type { EventOf } from '../../../src/lib/bus';
import { systemClock } from '../../../src/lib/clock';
import { FlmError } from '../../../src/lib/errors';
import { type Log, silentLog } from '../../../src/lib/log';
import type { Env } from '../../../src/lib/paths';
import type { Mode } from '../../../src/listeners';
import {
  type FakeEngine,
  type FakeKind,
  type FakeOptions,
  type RecordedRequest,
  startFake,
} from '../../fake';
import type { HeaderPair } from '../../fake/message';
import { testDir } from '../../support/data-dir';
import { type Answer, ask, connectRaw, headerOf, type RawClient, type WireRequest, wireRequest } from './raw';

export type Chat = Readonly<Record<string, unknown>>;

export interface GatewayOptions {
  /** Settings as from the command line, which takes times shorter than people are allowed to set. */
  readonly settings?: Partial<ConfigSnapshot>;
  readonly clock?: Clock;
  readonly env?: Env;
  /** Default 127.0.0.1. Clients come from this machine either way. */
  readonly bind?: string;
  /** Whether the gateway takes itself for one that strangers can reach. They come as `X-Forwarded-For` says. */
  readonly isExposed?: boolean;
  /** Default: local-http. */
  readonly mode?: Mode;
  /** Who is asked for certificates, and who speaks for others. */
  readonly clients?: Pick<ServeOptions, 'clientCertificates' | 'proxyProtocol'>;
}

export interface EngineOptions {
  readonly id?: string;
  /** What FLM is told; without it FLM goes by what the engine says. */
  readonly slots?: number;
}

/** What the bus said about one request. */
export interface Account {
  readonly attempts: readonly EventOf<'attempt.finished'>[];
  readonly requests: readonly EventOf<'ticket.closed'>[];
  /** One for every request that came to an end, refused ones too. */
  readonly finished: readonly RequestFacts[];
}

export interface Gateway extends AsyncDisposable {
  readonly app: App;
  readonly url: string;
  readonly keyId: string;
  readonly key: string;
  /** `Authorization` with the key. */
  readonly auth: HeaderPair;
  /** Starts a fake and adds it as the engine `id` (default: its kind). */
  addFake(kind: FakeKind, fake?: FakeOptions, engine?: EngineOptions): Promise<FakeEngine>;
  /** Adds whatever listens at `url`. */
  addEngine(kind: EngineKind, url: string, engine?: EngineOptions): Promise<void>;
  /** Posts with the key and reads the whole answer. */
  post(path: string, body: Chat | string | Uint8Array, request?: Partial<WireRequest>): Promise<Answer>;
  /** Posts with the key on a connection of its own and hands it over before anything has come. */
  start(path: string, body: Chat | string): Promise<RawClient>;
  /** What became of the request with that id; all that finished, without one. */
  account(requestId?: string): Account;
  /** Resolves when nothing is under way any more; fails when that takes too long. */
  settled(): Promise<void>;
  /** Looks at the engines until all of them run: one may have been looked at while it was out of order. */
  recovered(): Promise<void>;
  /** For a gateway that many tests share: holds what its disposal holds, then forgets engines, fakes and what the bus said. */
  afresh(): Promise<void>;
  /** Errors inside FLM, as the log had them. */
  readonly faults: readonly unknown[];
}

const DAY_MS = 86_400_000;
const SETTLE_MS = 3_000;

export async function startGateway({
  settings = {},
  clock = systemClock,
  env = {},
  bind = '127.0.0.1',
  isExposed = false,
  mode = 'local-http',
  clients = {},
}: GatewayOptions = {}): Promise<Gateway> {
  const dir = testDir();
  const faults: unknown[] = [];
  const app = await openApp({
    paths: dir.paths,
    env: { ...dir.env, ...env },
    clock,
    log: watchedLog(faults),
    // One fault after the other is what most of these tests are about.
    flags: {
      'engine.detect': false,
      'engine.refresh_ms': DAY_MS,
      'engine.breaker_failures': 0,
      ...(isExposed ? { 'proxy.trusted_proxies': ['127.0.0.1'] } : {}),
      ...settings,
    },
    running: true,
    lockWaitMs: 0,
    ...(isExposed ? { isExposed: () => true } : {}),
  });
  const handle = await app.serve({ bind, port: 0, mode, allowPlaintext: bind !== '127.0.0.1', ...clients });
  const { port, https_port: httpsPort } = handle;
  const url = httpsPort === null ? `http://127.0.0.1:${port}` : `https://localhost:${httpsPort}`;
  const { id: keyId, plain_key: key } = await app.keys.create({ label: 'contract' });
  const auth: HeaderPair = ['Authorization', `Bearer ${key}`];
  const fakes: FakeEngine[] = [];
  const attempts: EventOf<'attempt.finished'>[] = [];
  const requests: EventOf<'ticket.closed'>[] = [];
  app.bus.subscribe('attempt.finished', (event) => attempts.push(event));
  app.bus.subscribe('ticket.closed', (event) => requests.push(event));
  const finished: RequestFacts[] = [];
  app.bus.subscribe('request.finished', ({ request }) => finished.push(request));

  const isOpen = () => {
    const { exchanges, tickets, leases } = app.open();
    const working = fakes.reduce((sum, fake) => sum + fake.busy() + fake.waiting(), 0);
    return { exchanges, tickets, leases, working };
  };

  async function settled(): Promise<void> {
    const nothing = { exchanges: 0, tickets: 0, leases: 0, working: 0 };
    const deadline = performance.now() + SETTLE_MS;
    // There is no single event for "nothing is open any more", so this one is looked for.
    while (!Bun.deepEquals(isOpen(), nothing) && performance.now() < deadline) await Bun.sleep(1);
    expect(isOpen()).toEqual(nothing);
  }

  async function addEngine(kind: EngineKind, engineUrl: string, engine: EngineOptions = {}): Promise<void> {
    const { id = kind, slots } = engine;
    await app.engines.add({ kind, url: engineUrl, id, ...(slots === undefined ? {} : { slots }) });
  }

  /** @throws when something was left open, failed inside FLM or was closed twice */
  async function holdInOrder(): Promise<void> {
    await settled();
    expect(faults).toEqual([]);
    // Each Ticket and each Lease is closed once: an id that comes twice was closed twice.
    const ids = requests.map((event) => event.requestId);
    expect(ids.length).toBe(new Set(ids).size);
  }

  return {
    app,
    url,
    keyId,
    key,
    auth,
    faults,
    settled,
    addEngine,
    async recovered() {
      const isOut = async () =>
        (await app.engines.detect()).items.some(({ status }) => !status.status.startsWith('running-'));
      for (let tries = 0; await isOut(); tries += 1) expect(tries).toBeLessThan(20);
    },
    async addFake(kind, fakeOptions = {}, engine = {}) {
      const fake = await startFake(kind, fakeOptions);
      fakes.push(fake);
      await addEngine(kind, fake.url, engine);
      return fake;
    },
    post: (path, body, request = {}) =>
      ask(url, { target: path, headers: [auth], body: bodyOf(body), ...request }),
    async start(path, body) {
      const client = await connectRaw(url);
      client.send(wireRequest({ target: path, headers: [auth], body: bodyOf(body) }));
      return client;
    },
    account: (requestId) => ({
      attempts: attempts.filter((event) => requestId === undefined || event.requestId === requestId),
      requests: requests.filter((event) => requestId === undefined || event.requestId === requestId),
      finished: finished.filter((request) => requestId === undefined || request.requestId === requestId),
    }),
    async afresh() {
      try {
        await holdInOrder();
      } finally {
        for (const ledger of [attempts, requests, finished, faults]) ledger.length = 0;
        for (const { ref } of app.engines.states()) await app.engines.remove(ref.id);
        await Promise.all(fakes.splice(0).map((fake) => fake.close()));
      }
    },
    async [Symbol.asyncDispose]() {
      try {
        await holdInOrder();
      } finally {
        await app.close();
        await Promise.all(fakes.map((fake) => fake.close()));
        dir[Symbol.dispose]();
      }
    },
  };
}

/** Keeps what should never happen: errors that are not one of FLM's own. An engine's failure is logged too, and is no fault. */
function watchedLog(faults: unknown[]): Log {
  return {
    ...silentLog,
    error(message, { error } = {}) {
      const isOwn = error instanceof FlmError && error.code !== 'INTERNAL_ERROR';
      if (!isOwn) faults.push({ message, error: error instanceof FlmError ? (error.cause ?? error) : error });
    },
  };
}

function bodyOf(body: Chat | string | Uint8Array): string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
}

/** A chat request for the fakes. */
export function chat(model: string, fields: Chat = {}): Chat {
  return { model, messages: [{ role: 'user', content: 'What is the capital of France?' }], ...fields };
}

/** The requests for work that a fake has seen, without FLM's probes. */
export function workOf(fake: FakeEngine): readonly RecordedRequest[] {
  return fake.requests.filter((request) => request.method === 'POST');
}

/** The id that FLM gave a request. */
export function requestIdOf(answer: Answer): string {
  return headerOf(answer, 'x-request-id') ?? '';
}

/** The name of the model that a fake has by itself. */
export const MODEL: Readonly<Record<FakeKind, string>> = {
  llamacpp: 'smollm2-135m-instruct',
  openai: 'fake-model',
  ollama: 'smollm2:latest',
  vllm: 'smollm2',
  lmstudio: 'smollm2-135m-instruct',
};
