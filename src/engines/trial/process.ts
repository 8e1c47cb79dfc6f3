/**
 * One run of the trial engine: starts Python with the launcher, waits until it listens, ends it. It never talks
 * to the engine: that it listens is told by one line on its standard output. Restarts are supervisor.ts's.
 */
import { join } from 'node:path';
import { FlmError } from '../../lib/errors';
import type { Env } from '../../lib/paths';
import { readLines, within } from './child';
import launcher from './launcher.py' with { type: 'text' };
import { MODEL_FILE, TRIAL_MODEL } from './packages';
import template from './template.jinja' with { type: 'text' };

/** Requests the engine works on at once. */
export const SLOTS = 4;

/** Tokens of context for all slots together: what the model was trained for, 188 MB of memory. */
const CONTEXT = 8192;

export interface EngineProcess {
  readonly pid: number;
  readonly port: number;
  /** Resolves when the process has gone, with the reason in words. Never rejects. */
  readonly ended: Promise<string>;
  /** Ends the process and waits until it has gone. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Absolute path of the Python to run it on. */
  readonly python: string;
  /** Where the packages are installed. */
  readonly directory: string;
  /** The port to listen on if it is free; null = any. */
  readonly port: number | null;
  readonly env: Env;
  /** Ends the start, and the process with it, when it aborts. */
  readonly signal: AbortSignal;
  readonly limits?: Limits;
}

export interface Limits {
  /** Until it listens. */
  readonly startMs: number;
  /** After closing its standard input, until it is asked with a signal. */
  readonly closeMs: number;
  /** After that signal, until it is killed. */
  readonly termMs: number;
}

const LIMITS: Limits = { startMs: 60_000, closeMs: 1_000, termMs: 4_000 };

/** All that is needed of FLM's environment to run Python. Nothing of FLM's own: keys may be in there. */
const PASSED_ON =
  /^(?:PATH|HOME|USERPROFILE|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|WINDIR|LD_LIBRARY_PATH)$/i;

/** The launcher comes on standard input: no stale copy on the disk, and `ps` stays readable. */
const BOOTSTRAP =
  'import json, sys; job = json.loads(sys.stdin.buffer.readline()); exec(compile(job["launcher"], "launcher", "exec"))';

const KEPT_LINES = 50;

/**
 * Starts the engine and waits until it listens on 127.0.0.1.
 * @throws TRIAL_FAILED when it ends before that, takes too long, or `signal` aborts; the process is gone by then
 */
export async function startProcess(options: StartOptions): Promise<EngineProcess> {
  const { python, directory, signal, limits = LIMITS } = options;
  if (signal.aborted) throw failed('it was stopped', []);
  const child = spawn(python, directory, options.env);
  // Kept only until it listens: afterwards the engine's log may quote what people ask it.
  let words: string[] | null = [];
  const listening = Promise.withResolvers<number>();
  const output = Promise.all([
    readLines(child.stderr, (line) => {
      if (words !== null && line.trim() !== '' && words.push(line.trim()) > KEPT_LINES) words.shift();
    }),
    readLines(child.stdout, (line) => {
      const port = parsePort(line);
      if (port !== null) listening.resolve(port);
    }),
  ]);
  const job = {
    launcher,
    template,
    directory,
    model: join(directory, ...MODEL_FILE),
    alias: TRIAL_MODEL,
    slots: SLOTS,
    context: CONTEXT,
    port: options.port,
  };
  void despiteItsEnd(async () => {
    await child.stdin.write(`${JSON.stringify(job)}\n`);
    await child.stdin.flush();
  });

  let stopping: Promise<void> | null = null;
  const stop = () => {
    stopping ??= end(child, limits);
    return stopping;
  };
  const aborted = Promise.withResolvers<'aborted'>();
  const abort = () => aborted.resolve('aborted');
  signal.addEventListener('abort', abort, { once: true });
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => late.resolve('late'), limits.startMs);
  try {
    const ended = child.exited.then(() => 'ended' as const);
    const first = await Promise.race([listening.promise, ended, aborted.promise, late.promise]);
    if (typeof first === 'number') {
      return { pid: child.pid, port: first, ended: child.exited.then(() => describeEnd(child)), stop };
    }
    await stop();
    await within(output, limits.closeMs);
    if (first === 'aborted') throw failed('it was stopped', []);
    const what =
      first === 'late' ? `it did not listen within ${limits.startMs / 1000} s` : describeEnd(child);
    throw failed(what, words ?? []);
  } finally {
    words = null;
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

type Child = Bun.Subprocess<'pipe', 'pipe', 'pipe'>;

function spawn(python: string, cwd: string, env: Env): Child {
  try {
    // -I and -S: neither the user's environment nor their packages change what runs.
    return Bun.spawn([python, '-I', '-S', '-c', BOOTSTRAP, 'flm-trial-engine'], {
      cwd,
      env: Object.fromEntries(Object.entries(env).filter(([name]) => PASSED_ON.test(name))),
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'pipe',
      windowsHide: true,
    });
  } catch (cause) {
    throw new FlmError('TRIAL_FAILED', { meta: { reason: `${python} cannot be started` }, cause });
  }
}

/** A process that is gone already is reported by its end, not by the pipe that it left broken. */
async function despiteItsEnd(write: () => unknown): Promise<void> {
  try {
    await write();
  } catch {}
}

/** Closes its input, which ends it by itself; then asks; then kills. */
async function end(child: Child, limits: Limits): Promise<void> {
  void despiteItsEnd(() => child.stdin.end());
  if (await within(child.exited, limits.closeMs)) return;
  child.kill('SIGTERM');
  if (await within(child.exited, limits.termMs)) return;
  child.kill('SIGKILL');
  await child.exited;
}

function parsePort(line: string): number | null {
  try {
    const said: unknown = JSON.parse(line);
    if (typeof said !== 'object' || said === null || !('port' in said)) return null;
    return typeof said.port === 'number' && said.port > 0 ? said.port : null;
  } catch {
    return null;
  }
}

function describeEnd({ exitCode, signalCode }: Child): string {
  return signalCode === null ? `it ended with exit code ${exitCode}` : `it was ended by ${signalCode}`;
}

/** The first of llama.cpp's errors names the cause, what follows the consequences; Python says it last. */
function failed(what: string, words: readonly string[]): FlmError {
  const line = words.find((text) => / E /.test(text)) ?? words.at(-1);
  const reason = line === undefined ? what : `${what}: ${line.slice(0, 300)}`;
  const cause = words.length === 0 ? undefined : new Error(words.join('\n'));
  return new FlmError('TRIAL_FAILED', { meta: { reason }, cause });
}
