/** How what was opened is closed again: in reverse order, and whatever happens. */
import { toFlmError } from '../lib/errors';
import type { Log } from '../lib/log';

/** A step for each thing that is open; whoever opens one pushes how it is closed. */
export type Undo = (() => void | Promise<void>)[];

/** Takes every step, the last one first, and leaves none. @throws what the first step that failed threw */
export async function undoAll(undo: Undo, log: Log): Promise<void> {
  const failures: unknown[] = [];
  for (const step of undo.reverse().splice(0)) {
    try {
      await step();
    } catch (error) {
      // Whatever it was, the steps after it still have a port, a socket and a lock to give back.
      log.error('FLM did not stop cleanly', { error });
      failures.push(error);
    }
  }
  if (failures.length > 0) throw toFlmError(failures[0]);
}
