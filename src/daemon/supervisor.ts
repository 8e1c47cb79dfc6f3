/**
 * The supervisor: starts the process that serves, starts it again when it dies unasked, and hands signals on. It holds no
 * data and opens no file of the installation, so that there is next to nothing it could die of.
 */
import type { Clock } from '../contract';
import type { Log } from '../lib/log';
import type { Message } from './model';

/** Takes a message of the process that serves. */
export type Take = (message: Message) => undefined;

/** The process that serves, as its supervisor sees it. */
export interface Served {
  readonly pid: number;
  /** Resolves at its end, after its last message: with its exit code, or null when a signal ended it or nobody knows. */
  readonly ended: Promise<number | null>;
  signal(name: NodeJS.Signals): void;
}

export interface SupervisorOptions {
  /** Starts the process that serves; `isFirst`: the way its owner asked for, and not again after a crash. */
  launch(isFirst: boolean, take: Take): Served;
  /** A process that serves already and has lost its supervisor. */
  readonly adopt: ((take: Take) => Served) | null;
  /** Tells whoever waits for the start how it went. */
  report(message: Message): void;
  readonly clock: Clock;
  readonly log: Log;
  /** Waits `ms`, less when `signal` aborts. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface Supervisor {
  /** Resolves with the exit code of the supervisor. */
  run(): Promise<number>;
  /** Hands a signal on; FLM ends by it. */
  signal(name: NodeJS.Signals): void;
}

const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 30_000;
/** Whoever has run this long has recovered: the next crash is a first one. */
const HEALTHY_MS = 60_000;
/** Exit code of a start that no restart mends (design §3). */
const MISCONFIGURED = 3;

/** How long to wait before the start after the `crashes`-th crash in a row, from 1. */
export function backoffMs(crashes: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** (crashes - 1), MAX_DELAY_MS);
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { clock, log, delay } = options;
  const ending = new AbortController();
  let served: Served | null = null;

  async function run(): Promise<number> {
    let crashes = 0;
    for (let round = 0; ; round++) {
      const startedMs = clock.monotonicMs();
      /** What it said of its start and of its end. */
      let begun: Message['type'] | null = null;
      let isMeant = false;
      let refusal: string | null = null;
      const take: Take = (message) => {
        if (message.type === 'bye') isMeant = true;
        else begun = message.type;
        if (message.type === 'failed') refusal = message.error.code;
        if (round === 0 && message.type !== 'bye') options.report(message);
        return undefined;
      };
      let pid: number | null = null;
      let code: number | null = null;
      try {
        served =
          round === 0 && options.adopt !== null ? options.adopt(take) : options.launch(round === 0, take);
        pid = served.pid;
        code = await served.ended;
      } catch (error) {
        // The program may just be replaced by a newer one, or the machine be out of processes.
        log.error('FLM could not be started', { error });
      }
      served = null;
      if (isMeant || code === 0 || ending.signal.aborted) return code ?? 0;
      const neverServed = round === 0 && options.adopt === null && begun !== 'ready';
      // Another FLM has the data directory and looks after itself.
      if (neverServed || code === MISCONFIGURED || refusal === 'PROXY_ALREADY_RUNNING') return code ?? 2;
      if (clock.monotonicMs() - startedMs >= HEALTHY_MS) crashes = 0;
      crashes++;
      const waitMs = backoffMs(crashes);
      log.error('FLM died and is started again', { pid, code, crashes, waitMs });
      await delay(waitMs, ending.signal);
      if (ending.signal.aborted) return 0;
    }
  }

  return {
    run,
    signal(name) {
      ending.abort();
      served?.signal(name);
    },
  };
}
