/** Looks, once a minute, whether a key is to be replaced by itself. Only the process that has the data directory does. */
import type { Keys } from '../admission';
import type { Log } from '../lib/log';

const EVERY_MS = 60_000;

/** Goes on until the returned function is called. */
export function rotateKeys(
  keys: Pick<Keys, 'rotateDue'>,
  isOwner: () => boolean,
  log: Log,
): () => Promise<void> {
  let underWay: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    try {
      const replaced = isOwner() ? await keys.rotateDue() : 0;
      if (replaced > 0) log.warn('API keys were replaced by themselves: collect the new ones', { replaced });
    } catch (error) {
      log.error('API keys could not be replaced by themselves', { error });
    }
  }

  const timer = setInterval(() => {
    underWay = underWay.then(look);
  }, EVERY_MS);
  timer.unref();
  underWay = look();
  return async () => {
    clearInterval(timer);
    await underWay;
  };
}
