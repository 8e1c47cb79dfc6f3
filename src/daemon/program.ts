/** How FLM starts itself: as its supervisor, and as the process that serves. */

/** First words of command lines that only FLM itself writes. No help and no completion knows them. */
export const SUPERVISE = '__supervise';
export const SERVE = '__serve';

/** The command line of this very program, executable or script. */
export function ownProgram(): string[] {
  const script = process.argv[1];
  return Bun.isStandaloneExecutable || script === undefined ? [process.execPath] : [process.execPath, script];
}
