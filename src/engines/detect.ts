/**
 * Finds engines: asks every usual place on this machine who is there. What answers decides what it is, never the
 * port: a llama-server on 8000 is not vLLM, and FLM's own listener is no engine at all.
 */
import type { Clock, EngineKind } from '../contract';
import { type Egress, EgressError } from '../egress';
import type { Env } from '../lib/paths';
import type { EngineTarget, Probe } from './adapter';
import { parseBaseUrl, placeOf, portOf } from './address';
import { getJson } from './json';
import { createMemo } from './memo';
import { ADAPTERS, RECOGNITION } from './registry';

export interface FoundEngine {
  readonly kind: EngineKind;
  readonly baseUrl: string;
  readonly probe: Probe;
}

export interface DetectOptions {
  readonly egress: Egress;
  readonly env: Env;
  /** Deadline of one place, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether a port of this machine is FLM's own. */
  readonly isOwnPort: (port: number) => boolean;
  /** Places that are known already and are asked elsewhere. */
  readonly known: ReadonlySet<string>;
  /** Base URLs of programs on this machine that look like engines. */
  readonly programs: readonly string[];
  /** Whether somebody listens there who must not be sent what clients ask. */
  readonly isForeign: (baseUrl: string) => boolean;
  /** What was no engine a moment ago. */
  readonly strangers: Strangers;
}

/** Places where something answers that is no engine: they are left in peace for a while, longer each time. */
export class Strangers {
  readonly #clock: Clock;
  readonly #places = new Map<string, { readonly untilMs: number; readonly pauseMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(place: string): boolean {
    return (this.#places.get(place)?.untilMs ?? 0) > this.#clock.monotonicMs();
  }

  add(place: string): void {
    const pauseMs = Math.min((this.#places.get(place)?.pauseMs ?? FIRST_PAUSE_MS / 2) * 2, LONGEST_PAUSE_MS);
    this.#places.set(place, { untilMs: this.#clock.monotonicMs() + pauseMs, pauseMs });
  }

  /** Nobody listens there any more: whoever comes next is somebody else. */
  delete(place: string): void {
    this.#places.delete(place);
  }
}

const FIRST_PAUSE_MS = 15_000;
const LONGEST_PAUSE_MS = 600_000;

/** Every engine that answers at a usual place, one per place; IPv4 before IPv6 where both lead to it. */
export async function detectEngines(options: DetectOptions): Promise<FoundEngine[]> {
  const { isOwnPort, isForeign, known, programs, strangers } = options;
  const places = [...placesToLook(options.env), ...programs].filter((baseUrl) => {
    const place = placeOf(baseUrl);
    return (
      !isOwnPort(portOf(new URL(baseUrl))) &&
      !known.has(place) &&
      !strangers.has(place) &&
      !isForeign(baseUrl)
    );
  });
  const byPlace = new Map<string, FoundEngine>();
  const answers = await Promise.all([...new Set(places)].map((baseUrl) => whatIsAt(baseUrl, options)));
  // One place is reached in two ways, and nobody may be there by one of them.
  const strange = new Set<string>();
  for (const [baseUrl, what] of answers) {
    const place = placeOf(baseUrl);
    if (what === 'stranger') strange.add(place);
    else if (what !== 'nobody' && !byPlace.has(place)) byPlace.set(place, what);
  }
  for (const [baseUrl] of answers) {
    const place = placeOf(baseUrl);
    if (!strange.has(place) || byPlace.has(place)) strangers.delete(place);
  }
  for (const place of strange) if (!byPlace.has(place)) strangers.add(place);
  return [...byPlace.values()];
}

async function whatIsAt(
  baseUrl: string,
  options: DetectOptions,
): Promise<readonly [string, FoundEngine | 'stranger' | 'nobody']> {
  try {
    return [baseUrl, (await identify({ baseUrl, credential: null }, options)) ?? 'stranger'];
  } catch (error) {
    const nobody = error instanceof EgressError && (error.kind === 'refused' || error.kind === 'unreachable');
    return [baseUrl, nobody ? 'nobody' : 'stranger'];
  }
}

/**
 * What answers at an address, or null when it is no engine.
 * @throws never: whatever goes wrong at a place that nobody named means that no engine is there.
 */
export async function recognise(target: EngineTarget, options: IdentifyOptions): Promise<FoundEngine | null> {
  try {
    return await identify(target, options);
  } catch {
    return null; // Nobody listens, or it does not speak HTTP, or it is too slow.
  }
}

type IdentifyOptions = Pick<DetectOptions, 'egress' | 'timeoutMs'>;

async function identify(
  target: EngineTarget,
  { egress, timeoutMs }: IdentifyOptions,
): Promise<FoundEngine | null> {
  const io = { egress, signal: AbortSignal.timeout(timeoutMs), memo: createMemo(), known: false };
  // Another FLM says so on its health page, without being asked for a key.
  const health = await getJson(target, '/health', io);
  if (health.server === 'flm') return null;
  // All at once: an engine that takes a second for each answer is to be known before the time is up.
  const probes = await Promise.allSettled(RECOGNITION.map((adapter) => adapter.probe(target, io)));
  for (const [index, probe] of probes.entries()) {
    const adapter = RECOGNITION[index];
    if (adapter === undefined || probe.status === 'rejected' || probe.value === null) continue;
    return { kind: adapter.kind, baseUrl: target.baseUrl, probe: probe.value };
  }
  const failed = probes.find((probe) => probe.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return null;
}

/** What listens at a place: another FLM, an engine, or a program that is neither. */
export interface Occupant {
  readonly who: 'flm' | 'engine' | 'other';
  /** Of an engine. */
  readonly kind: EngineKind | null;
  /** Whether it asks everybody for a key. */
  readonly wantsKey: boolean;
}

/** Asks what listens at an address of this machine, around any tunnel. Never rejects. */
export async function whoIsAt(by: Egress, ip: string, port: number): Promise<Occupant> {
  const egress: Egress = { ...by, send: (request) => by.send({ ...request, isOwn: true }) };
  const target = { baseUrl: `http://${ip.includes(':') ? `[${ip}]` : ip}:${port}`, credential: null };
  const io = { egress, signal: AbortSignal.timeout(WHO_TIMEOUT_MS), memo: createMemo(), known: false };
  const server = await getJson(target, '/health', io).then(
    (health) => health.server,
    () => '',
  );
  if (server === 'flm') return { who: 'flm', kind: null, wantsKey: true };
  const engine = await recognise(target, { egress, timeoutMs: WHO_TIMEOUT_MS });
  if (engine === null) return { who: 'other', kind: null, wantsKey: false };
  return { who: 'engine', kind: engine.kind, wantsKey: engine.probe.status === 'needs-key' };
}

/** Who has a port of this machine, in words: another FLM, an engine, or a program that is neither. */
export async function whoListens(egress: Egress, bind: string, port: number): Promise<string> {
  const ip = bind === '0.0.0.0' ? '127.0.0.1' : bind === '::' ? '::1' : bind;
  const { who, kind } = await whoIsAt(egress, ip, port);
  if (who === 'flm') return 'another FLM';
  return kind === null ? 'another program' : `an engine (${ADAPTERS[kind].title})`;
}

const WHO_TIMEOUT_MS = 1_000;

/** The ports at which engines listen that nobody told otherwise. */
export function usualPorts(): readonly number[] {
  return [...new Set(RECOGNITION.flatMap((adapter) => adapter.ports))];
}

/** Base URLs where engines usually are: default ports on loopback, and what the environment names (FLM-041). */
export function placesToLook(env: Env): readonly string[] {
  const ports = new Set(usualPorts());
  const llamaPort = Number(env.LLAMA_CPP_PORT);
  if (Number.isInteger(llamaPort) && llamaPort > 0 && llamaPort < 65_536) ports.add(llamaPort);
  // An empty variable is one that is not set.
  const vllm =
    env.VLLM_HOST || env.VLLM_PORT ? `${env.VLLM_HOST || 'localhost'}:${env.VLLM_PORT || 8000}` : undefined;
  const lmStudio = withPort(env.LMSTUDIO_API_HOST, 1234);
  const named = [env.OLLAMA_BASE_URL, vllm, lmStudio].filter((place) => place !== undefined && place !== '');
  return [
    ...named.flatMap((place) => parsedOrNothing(place ?? '')),
    ...[...ports].map((port) => `http://127.0.0.1:${port}`),
    ...[...ports].map((port) => `http://[::1]:${port}`),
  ];
}

/** The id of an engine that was found: `llamacpp-default` on its default port, else `llamacpp-8081` (FLM-043). */
export function idOf(kind: EngineKind, baseUrl: string): string {
  const port = portOf(new URL(baseUrl));
  return kind !== 'openai' && port === ADAPTERS[kind].ports[0] ? `${kind}-default` : `${kind}-${port}`;
}

/** LMSTUDIO_API_HOST may hold a port of its own (FLM-043). */
function withPort(host: string | undefined, port: number): string | undefined {
  if (host === undefined || host === '') return undefined;
  return /:\d+$/.test(host) ? host : `${host}:${port}`;
}

function parsedOrNothing(place: string): string[] {
  try {
    return [parseBaseUrl(place)];
  } catch {
    return []; // A variable meant for another program: not an address is no reason to stop.
  }
}
