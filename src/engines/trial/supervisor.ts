/** Keeps the trial engine running: starts it, starts it again when it dies unasked, stops it when told to. */
import type { Clock } from '../../contract';
import { FlmError, reasonOf } from '../../lib/errors';
import type { Log } from '../../lib/log';
import type { EngineProcess } from './process';

export interface SupervisorState {
  readonly running: boolean;
  readonly pid: number | null;
  readonly port: number | null;
  /** How often it was started again since start(). */
  readonly restarts: number;
  /** Why it does not run, when it should. */
  readonly error: string | null;
}

export interface SupervisorOptions {
  /** Starts one process, on `port` if that is free; ends it and throws when `signal` aborts before it listens. */
  launch(port: number | null, signal: AbortSignal): Promise<EngineProcess>;
  readonly clock: Clock;
  readonly log: Log;
  /** Called after every change of the state. */
  onChange(): void;
  /** Waits `ms`, less when `signal` aborts. */
  readonly delay?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface Supervisor {
  state(): SupervisorState;
  /**
   * Starts the engine, unless it runs, and returns its port once it listens.
   * @throws TRIAL_FAILED when the first start fails, or when it died and is not up again yet
   */
  start(): Promise<number>;
  /** Ends the engine, also while it starts, and resolves when it has gone. */
  stop(): Promise<void>;
}

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
/** An engine that lived this long did not die of being started: the next delay is the first one again. */
const HEALTHY_MS = 60_000;

const STOPPED: SupervisorState = { running: false, pid: null, port: null, restarts: 0, error: null };

/** What happens between one start() and its stop(). */
interface Run {
  readonly controller: AbortController;
  /** The port of the first engine that listened, or why there was none. */
  readonly started: Promise<number>;
  /** Resolves when nothing of it runs any more. */
  readonly finished: Promise<void>;
}

/** A supervisor of one engine, which does nothing until start(). */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { launch, clock, log, onChange, delay = pause } = options;
  let state = STOPPED;
  let run: Run | null = null;

  function change(next: Partial<SupervisorState>): void {
    state = { ...state, ...next };
    onChange();
  }

  function begin(): Run {
    const controller = new AbortController();
    const started = Promise.withResolvers<number>();
    // start() hears of a failure; nobody else has to.
    started.promise.catch(() => {});
    state = STOPPED;
    const begun: Run = {
      controller,
      started: started.promise,
      finished: keepRunning(controller.signal, started).finally(() => {
        if (run === begun) run = null;
      }),
    };
    return begun;
  }

  async function keepRunning(signal: AbortSignal, started: PromiseWithResolvers<number>): Promise<void> {
    const aborted = new Promise<null>((resolve) => {
      signal.addEventListener('abort', () => resolve(null), { once: true });
    });
    let port: number | null = null;
    let delayMs = FIRST_DELAY_MS;
    for (;;) {
      let why: string | null;
      try {
        // The same port every time, so that the engine's address stays true.
        const engine = await launch(port, signal);
        try {
          const sinceMs = clock.monotonicMs();
          port = engine.port;
          change({ running: true, pid: engine.pid, port, error: null });
          started.resolve(port);
          why = await Promise.race([engine.ended, aborted]);
          if (clock.monotonicMs() - sinceMs >= HEALTHY_MS) delayMs = FIRST_DELAY_MS;
        } finally {
          await engine.stop();
        }
      } catch (error) {
        started.reject(error);
        why = reasonFor(error);
        if (port === null && !signal.aborted) {
          // The first start is not tried again: whoever asked for it is told, and decides.
          change({ error: why });
          return;
        }
      }
      if (!signal.aborted) {
        log.warn('the trial engine does not run', { reason: why, startsAgainInMs: delayMs });
        change({ ...STOPPED, restarts: state.restarts, error: why });
        await delay(delayMs, signal);
      }
      if (signal.aborted) {
        change(STOPPED);
        return;
      }
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
      state = { ...state, restarts: state.restarts + 1 };
    }
  }

  return {
    state: () => state,

    async start() {
      // One that is being stopped has to be gone first.
      while (run?.controller.signal.aborted) await run.finished;
      run ??= begin();
      await run.started;
      if (state.port === null) {
        throw new FlmError('TRIAL_FAILED', { meta: { reason: state.error ?? 'it was stopped' } });
      }
      return state.port;
    },

    async stop() {
      if (run === null) return;
      run.controller.abort();
      await run.finished;
    },
  };
}

function reasonFor(error: unknown): string {
  const reason = error instanceof FlmError ? error.meta.reason : null;
  return typeof reason === 'string' ? reason : reasonOf(error);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
