/**
 * The old process at a hand-over. It gives up the data directory and goes on serving from memory; once the new process
 * answers on the admin socket, it lets go of the ports, finishes what is under way and ends. If nobody comes, it takes
 * everything back. Who has the data directory is decided by its lock alone, which the kernel frees when a process dies.
 */
import type { Clock } from '../contract';
import { FlmError, reasonOf } from '../lib/errors';
import type { Log } from '../lib/log';

export interface HandOverOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Writes nothing any more, frees the lock, and is not to be found on the admin socket. */
  pause(): Promise<void>;
  /** Takes all of that back. @throws DB_LOCKED while another process has the data directory */
  resume(): Promise<void>;
  /** Whether another process answers on the admin socket. */
  heirAnswers(): Promise<boolean>;
  /** From here on the other process has the ports. */
  leave(): void;
  /** Looks whether keys have ended. @throws when that cannot be known */
  refreshKeys(): Promise<void>;
  /** Whether something has happened that the heir does not know. */
  hasNews(): boolean;
  /** Tells the heir what happened here since `pause`. `stop`: FLM is being stopped. */
  tellHeir(): Promise<{ readonly stop: boolean }>;
  /** Requests under way. */
  busy(): number;
  /** Lets nobody in any more and ends what is under way, politely first. */
  drain(): Promise<void>;
  readonly sleep: (ms: number) => Promise<unknown>;
}

export interface HandOver {
  /** Gives up the data directory. @throws HANDOVER_UNAVAILABLE while another process is at it; as `pause` */
  begin(): Promise<void>;
  /** What has become of the last one. */
  state(): 'serving' | 'waiting' | 'left';
  /** Resolves when this process has been replaced and nothing is under way any more. */
  readonly over: Promise<void>;
}

const LOOK_MS = 50;
/** How long the new process may take to lock the data directory. Then nobody is coming. */
const PATIENCE_MS = 3_000;
/** What ends here is told so soon, as the request log writes it: a crash must not cost more. */
const NEWS_MS = 25;
/** How often the heir hears of this process, and whose keys are good is looked up. */
const TELL_MS = 1_000;
/** Failures in a row after which it is not known any more whose keys are good. */
const MAX_BLIND = 2;

/** `lingerMs`: how long idle connections are kept, so that whoever holds one does not lose a request. */
export function createHandOver(options: HandOverOptions, lingerMs: number): HandOver {
  const { clock, log, sleep } = options;
  const over = Promise.withResolvers<void>();
  let state: ReturnType<HandOver['state']> = 'serving';

  async function waitForHeir(): Promise<void> {
    const fromMs = clock.monotonicMs();
    for (;;) {
      await sleep(LOOK_MS);
      if (await options.heirAnswers()) return finish();
      if (clock.monotonicMs() - fromMs >= PATIENCE_MS && (await tookBack())) return;
    }
  }

  /** Whatever it was, a process that serves nobody and waits for nothing must not stay. */
  function lost(error: unknown): void {
    log.error('the hand-over failed', { error });
    over.resolve();
  }

  async function tookBack(): Promise<boolean> {
    try {
      await options.resume();
    } catch (error) {
      // Somebody has it: the new process, which is not ready yet, or a command that works offline for a moment.
      if (error instanceof FlmError && error.code === 'DB_LOCKED') return false;
      log.error('the data directory could not be taken back', { error });
      return false;
    }
    state = 'serving';
    log.warn('no new process took over, so this one goes on');
    return true;
  }

  async function looksUpKeys(): Promise<boolean> {
    try {
      await options.refreshKeys();
      return true;
    } catch (error) {
      log.warn('whose keys are still good cannot be read', { reason: reasonOf(error) });
      return false;
    }
  }

  /** Tells the heir what there is, and hears whether FLM is being stopped. */
  async function hearsStop(): Promise<boolean> {
    try {
      return (await options.tellHeir()).stop;
    } catch (error) {
      log.debug('the new process did not hear', { reason: reasonOf(error) });
      return false;
    }
  }

  async function finish(): Promise<void> {
    state = 'left';
    options.leave();
    log.info('another process has taken over', { requests: options.busy() });
    const leftMs = clock.monotonicMs();
    let blind = 0;
    let toldMs = Number.NEGATIVE_INFINITY;
    while (options.busy() > 0 || clock.monotonicMs() - leftMs < lingerMs) {
      await sleep(NEWS_MS);
      const isTime = clock.monotonicMs() - toldMs >= TELL_MS;
      if (!isTime && !options.hasNews()) continue;
      if (isTime) {
        toldMs = clock.monotonicMs();
        blind = (await looksUpKeys()) ? 0 : blind + 1;
      }
      const stop = await hearsStop();
      // Fails closed: a key that was revoked must not go on being served because nobody could look.
      if (stop || blind >= MAX_BLIND) {
        await options.drain();
        break;
      }
    }
    await options.tellHeir().catch((error: unknown) => {
      log.warn('the last requests could not be told to the new process', { reason: reasonOf(error) });
    });
    over.resolve();
  }

  return {
    async begin() {
      if (state !== 'serving')
        throw new FlmError('HANDOVER_UNAVAILABLE', {
          meta: { reason: 'another process is just taking over' },
        });
      state = 'waiting';
      try {
        await options.pause();
      } catch (error) {
        state = 'serving';
        throw error;
      }
      void waitForHeir().catch(lost);
    },
    state: () => state,
    over: over.promise,
  };
}
