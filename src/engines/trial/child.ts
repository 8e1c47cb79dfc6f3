/** Runs a child process to its end and hands its output over line by line. Knows nothing of Python or pip. */
import type { Env } from '../../lib/paths';

export interface RunOptions {
  readonly cwd: string;
  /** FLM's own variables in it are not handed on. */
  readonly env: Env;
  /** Called with every line of both outputs, without its end and without terminal colours. */
  onLine(line: string, from: 'stdout' | 'stderr'): void;
  /** Kills the child when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Kills the child after this many milliseconds. */
  readonly timeoutMs?: number;
}

/** How long output is still read after the child has gone: something it started may hold the pipe open. */
const DRAIN_MS = 1000;

/** `env` without FLM's own variables, which may hold keys: no child needs them. */
function withoutOurs(env: Env): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^FLM_/i.test(name)));
}

/**
 * Runs `command` and waits for it.
 * @returns its exit code; null when it could not be started or a signal ended it
 * @throws the signal's reason when `signal` aborts; the child is gone by then
 */
export async function runChild(command: readonly string[], options: RunOptions): Promise<number | null> {
  const { cwd, env, signal, timeoutMs, onLine } = options;
  signal?.throwIfAborted();
  let child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>;
  try {
    child = Bun.spawn([...command], {
      cwd,
      env: withoutOurs(env),
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      windowsHide: true,
    });
  } catch {
    // ENOENT, EACCES, a directory, a script without its interpreter: there is no such program here.
    return null;
  }
  // SIGKILL, because nobody wants what it would leave behind: its working directory is thrown away.
  const kill = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  const timer = timeoutMs === undefined ? null : setTimeout(kill, timeoutMs);
  try {
    const output = Promise.all([
      readLines(child.stdout, (line) => onLine(line, 'stdout')),
      readLines(child.stderr, (line) => onLine(line, 'stderr')),
    ]);
    output.catch(() => {}); // An aborted child's output interests nobody.
    await child.exited;
    if (!signal?.aborted) await within(output, DRAIN_MS);
    signal?.throwIfAborted();
    return child.exitCode;
  } finally {
    signal?.removeEventListener('abort', kill);
    if (timer !== null) clearTimeout(timer);
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a colour looks like on a terminal.
const COLOUR = /\u001b\[[0-9;?]*[A-Za-z]/g;

/** Calls `onLine` for every line of `stream`; resolves at its end. Lines end with LF, CR LF or a lone CR. */
export async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r/);
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line.replace(COLOUR, ''));
  }
  if (rest !== '') onLine(rest.replace(COLOUR, ''));
}

/** Whether `promise` settles within `ms` milliseconds. */
export async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
