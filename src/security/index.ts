/** The security room: who is let in before anybody looks at a key. */
import type { Screen } from '../contract';

/** Lets everybody pass. */
export function createScreen(): Screen {
  return { arrive() {}, stranger() {}, hold: () => null, known() {} };
}
