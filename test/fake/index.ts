/**
 * Fake engines: they speak the recorded wire format over raw sockets, answer deterministically, remember every
 * request, and break on demand. `startFake` in a test, main.ts as a process of its own.
 */
import type { Dialect, EngineView } from './answer';
import { type Fault, recipeFor } from './faults';
import { ClientGone, type Ending, listenRaw, type RecordedRequest, type Wire } from './http';
import { llamacpp } from './llamacpp';
import { lmstudio } from './lmstudio';
import { describeModel, type FakeModel, type KnownModel } from './models';
import { ollama } from './ollama';
import { openai } from './openai';
import { type Plan, planAnswer } from './plan';
import { vllm } from './vllm';

export type { Fault, FaultKind } from './faults';
export { FAULTS, NAMED_FAULTS } from './faults';
export type { HeaderPair, RecordedRequest } from './http';
export type { Capability, FakeModel } from './models';

const DIALECTS = { llamacpp, lmstudio, ollama, openai, vllm } as const satisfies Record<string, Dialect>;

export type FakeKind = keyof typeof DIALECTS;

/** All kinds, for tables. */
export const FAKE_KINDS = Object.keys(DIALECTS) as FakeKind[];

export interface FakeOptions {
  /** Default 0: a free one. */
  readonly port?: number;
  /** Default 127.0.0.1; `::1` for IPv6. */
  readonly hostname?: string;
  /** Names to list. llama.cpp answers every request with the first, whatever was asked for. */
  readonly models?: readonly (string | FakeModel)[];
  /** How many requests are worked on at once; more wait in order. Default: as the engine's own. */
  readonly slots?: number;
  /** How many may wait; one more is refused with 503. Default: any number. */
  readonly maxWaiting?: number;
  /** When set, requests need it as a bearer token. */
  readonly apiKey?: string;
  /** Content tokens of an answer that `max_tokens` does not cut. Default 7. Usage counts one more: the end. */
  readonly tokens?: number;
  /** Pause before each token; a whole answer takes all of them together. Default 0. */
  readonly tokenDelayMs?: number;
  readonly fault?: Fault;
  /** How long an idle connection is kept. Default: as the engine does, 5000 but for Ollama, which keeps it for ever. */
  readonly keepAliveMs?: number;
  /** How many tokens of each prompt usage calls cached, by llama.cpp and by a vLLM that was told to say so. Default: none. */
  readonly cachedTokens?: number;
  /** Whether a llama.cpp answers /v1/rerank; without it says 501. Default false. */
  readonly reranking?: boolean;
}

export interface FakeEngine {
  readonly kind: FakeKind;
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Everything that was asked, probes included, in the order of arrival. */
  readonly requests: readonly RecordedRequest[];
  /** Requests for work in a slot now. */
  busy(): number;
  /** Requests for work that wait for a slot. */
  waiting(): number;
  /** Answers to work that were sent to their end, errors included. */
  served(): number;
  /** Requests for work whose client went away before the end. */
  aborted(): number;
  /** Answers to work that a fault broke off. */
  broken(): number;
  /** Open connections. */
  connections(): number;
  /** Resolves when no work is going on or waiting, however it ended. */
  idle(): Promise<void>;
  /** Every following request for work meets it; null heals the engine. */
  setFault(fault: Fault | null): void;
  /** Only the next request that it applies to meets it; several queue up. */
  setFaultOnce(fault: Fault): void;
  /** Replaces the list of models: pulled, deleted, loaded or evicted while running. */
  setModels(models: readonly (string | FakeModel)[]): void;
  close(): Promise<void>;
}

/** Starts a fake engine on a port of its own. */
export async function startFake(kind: FakeKind, options: FakeOptions = {}): Promise<FakeEngine> {
  const dialect: Dialect = DIALECTS[kind];
  const hostname = options.hostname ?? '127.0.0.1';
  const slots = options.slots ?? dialect.slots;
  const requests: RecordedRequest[] = [];
  const counts = { served: 0, aborted: 0, broken: 0 };
  const queue: (() => void)[] = [];
  const idlers: (() => void)[] = [];
  const once: Fault[] = [];
  let fault: Fault | null = options.fault ?? null;
  let catalogue = known(options.models ?? dialect.models);
  let busy = 0;

  const server = await listenRaw(
    { hostname, port: options.port ?? 0, keepAliveMs: options.keepAliveMs ?? dialect.keepAliveMs },
    async (request, wire) => {
      requests.push(request);
      return isWork(request) ? work(request, wire) : play(plan(request), wire);
    },
  );

  function isWork({ method, path }: RecordedRequest): boolean {
    return method === 'POST' && dialect.work.test(path.split('?')[0] ?? '');
  }

  async function work(request: RecordedRequest, wire: Wire): Promise<Ending> {
    if (busy >= slots && queue.length >= (options.maxWaiting ?? Number.POSITIVE_INFINITY)) {
      counts.served += 1;
      return play(
        planAnswer(dialect.refuse(503, request), null, () => dialect.refuse(503, request)),
        wire,
      );
    }
    try {
      await takeSlot(wire);
    } catch (error) {
      counts.aborted += 1;
      settle();
      throw error;
    }
    try {
      const planned = plan(request);
      const change = dialect.loads?.(request, view());
      catalogue = catalogue.map((model) => (model.name === change?.name ? { ...model, ...change } : model));
      const ending = await play(planned, wire);
      counts[planned.whole ? 'served' : 'broken'] += 1;
      return ending;
    } catch (error) {
      if (error instanceof ClientGone) counts.aborted += 1;
      throw error;
    } finally {
      freeSlot();
    }
  }

  function plan(request: RecordedRequest): Plan {
    const met = pickFault(request);
    const answer = dialect.respond(request, view(), recipeFor(met));
    return planAnswer(answer, met, (status, extra) => dialect.refuse(status, request, extra));
  }

  function pickFault(request: RecordedRequest): Fault | null {
    const applies = (each: Fault): boolean => each.on === 'everything' || isWork(request);
    const at = once.findIndex(applies);
    if (at >= 0) return once.splice(at, 1)[0] ?? null;
    return fault && applies(fault) ? fault : null;
  }

  function view(): EngineView {
    return {
      models: catalogue.map(({ name }) => name),
      catalogue,
      slots,
      apiKey: options.apiKey ?? null,
      tokens: options.tokens ?? 7,
      tokenDelayMs: options.tokenDelayMs ?? 0,
      busy,
      waiting: queue.length,
      cachedTokens: options.cachedTokens ?? null,
      reranking: options.reranking ?? false,
      hostname,
    };
  }

  async function takeSlot(wire: Wire): Promise<void> {
    if (busy < slots) {
      busy += 1;
      return;
    }
    let leave: () => void = () => {};
    const turn = new Promise<'turn'>((resolve) => {
      leave = () => resolve('turn');
      queue.push(leave);
    });
    try {
      // The slot is handed over, not freed: busy stays as it is.
      await Promise.race([turn, wire.wait()]);
    } catch (error) {
      const at = queue.indexOf(leave);
      if (at >= 0) queue.splice(at, 1);
      else freeSlot();
      throw error;
    }
  }

  function freeSlot(): void {
    const next = queue.shift();
    if (next) next();
    else busy -= 1;
    settle();
  }

  function settle(): void {
    if (busy > 0 || queue.length > 0) return;
    for (const resolve of idlers.splice(0)) resolve();
  }

  const host = hostname.includes(':') ? `[${hostname}]` : hostname;
  return {
    kind,
    url: `http://${host}:${server.port}`,
    port: server.port,
    requests,
    busy: () => busy,
    waiting: () => queue.length,
    served: () => counts.served,
    aborted: () => counts.aborted,
    broken: () => counts.broken,
    connections: server.connections,
    idle: () =>
      busy === 0 && queue.length === 0 ? Promise.resolve() : new Promise((done) => idlers.push(done)),
    setFault: (next) => {
      fault = next;
      once.length = 0;
    },
    setFaultOnce: (next) => void once.push(next),
    setModels: (models) => {
      catalogue = known(models);
    },
    close: server.close,
  };
}

function known(models: readonly (string | FakeModel)[]): readonly KnownModel[] {
  return models.map(describeModel);
}

async function play(plan: Plan, wire: Wire): Promise<Ending> {
  for (const { bytes, delayMs } of plan.steps) {
    if (delayMs > 0) await wire.wait(delayMs);
    if (bytes.length > 0) await wire.write(bytes);
  }
  if (plan.ending !== 'stall') return plan.ending;
  await wire.wait();
  return 'close';
}
