/**
 * The runtime's fetch, which carries requests to HTTPS engines, sends at most 256 at once and reads a higher limit only
 * from the environment it is started with (design §5). Plain-HTTP engines have a client of FLM's own, without a limit.
 */
import { ownProgram } from './program';

const NAME = 'BUN_CONFIG_MAX_HTTP_REQUESTS';
/** The highest value the runtime takes. */
const CAP = '65535';

/** What the environment of a process that serves needs; what is there already stays. */
export function fetchCapEnv(): Record<string, string> {
  return { [NAME]: process.env[NAME] ?? CAP };
}

/** Whether this process was started with the low limit and can be started again with the high one. */
export function canRaiseFetchCap(): boolean {
  return process.env[NAME] === undefined && process.execve !== undefined;
}

/** Replaces this process by itself with the high limit. Everything must be closed: nothing after this runs. */
export function raiseFetchCap(): void {
  process.execve?.(process.execPath, [...ownProgram(), ...process.argv.slice(2)], {
    ...process.env,
    [NAME]: CAP,
  });
}
