/** What a command works with: streams, format, files, and the two ways of answering (text for people, JSON for scripts). */
import type { Clock } from '../src/contract';
import type { Egress } from '../src/egress';
import type { Env, Paths } from '../src/lib/paths';

export type Format = 'text' | 'json';

export interface Cli {
  readonly env: Env;
  readonly paths: Paths;
  readonly clock: Clock;
  /** Connections of the command itself, to the running FLM above all. Closed when the command ends. */
  readonly egress: Egress;
  readonly format: Format;
  /** Whether a person sits at both ends. */
  readonly interactive: boolean;
  /** Whether a person reads what is written, whoever writes what is read. */
  readonly watched: boolean;
  /** Whether stderr may carry colours and lines that are overwritten. */
  readonly decorated: boolean;
  /** Reads all of stdin when something is piped in, else null. */
  readStdin(): Promise<string | null>;
  /** Writes to stdout; where that is a terminal, without what it would obey. */
  write(text: string): void;
  /** Tells the person something on stderr; as a log line where the result is JSON. */
  note(line: string): void;
  /** Writes the result: `{"version":"1.0","data":…}`, or the text for people. */
  result(data: unknown, text: () => string): void;
  /** Resolves when all that was written to stdout has arrived: with null, or with why it has not. */
  delivered(): Promise<Error | null>;
  /** Makes the program end with this code although the command has printed its result. */
  fail(exitCode: number): void;
  /** Aborts at Ctrl-C. */
  readonly interrupted: AbortSignal;
}

/** Version of the JSON that commands print; only a change of the number before the dot may break scripts (FLM-011). */
export const OUTPUT_VERSION = '1.0';

/** Exit code of a command that Ctrl-C ended (128 + SIGINT). */
export const INTERRUPTED = 130;

/** How long something may take before the person is told what is going on. */
const PATIENCE_MS = 400;

/**
 * Runs something that may take a while, and says so on stderr when it does. The line is taken away again where that is
 * possible.
 */
export async function withProgress<Result>(
  cli: Cli,
  what: string,
  run: () => Promise<Result>,
): Promise<Result> {
  let said = false;
  const timer = setTimeout(() => {
    said = true;
    process.stderr.write(cli.decorated ? `${what}…` : cli.format === 'text' ? `${what}…\n` : '');
  }, PATIENCE_MS);
  try {
    return await run();
  } finally {
    clearTimeout(timer);
    if (said && cli.decorated) process.stderr.write('\r\u001B[2K');
  }
}
