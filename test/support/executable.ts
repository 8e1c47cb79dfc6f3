/**
 * The compiled executable, used as its users do: one command at a time, or `flm up` in the background. Built when it is
 * missing or older than its sources; FLM_TEST_EXECUTABLE names another one (a release, say).
 */
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Glob } from 'bun';
import type { Status } from '../../src/admin';
import { isRecord } from '../../src/lib/json';
import type { Env } from '../../src/lib/paths';
import { type Collected, collect, firstLine } from './output';
import { processesWith } from './processes';

export const REPOSITORY = resolve(import.meta.dir, '../..');

const EXECUTABLE = resolve(process.env.FLM_TEST_EXECUTABLE || join(REPOSITORY, 'dist', 'flm'));

let ready: Promise<string> | null = null;

/** The path of an executable that is up to date. */
export function executable(): Promise<string> {
  ready ??= ensureBuilt();
  return ready;
}

async function ensureBuilt(): Promise<string> {
  if (process.env.FLM_TEST_EXECUTABLE) return EXECUTABLE;
  const builtMs = statSync(EXECUTABLE, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if ((await newestSourceMs()) > builtMs) {
    const build = Bun.spawn([process.execPath, 'build.ts'], { cwd: REPOSITORY, stdout: 'ignore' });
    if ((await build.exited) !== 0) throw new Error('the executable cannot be built');
  }
  return EXECUTABLE;
}

async function newestSourceMs(): Promise<number> {
  let newest = 0;
  for (const pattern of ['{src,cli,db,certs}/**/*', 'build.ts', 'package.json', 'bun.lock']) {
    for await (const file of new Glob(pattern).scan({ cwd: REPOSITORY, onlyFiles: true })) {
      if (file.includes('.test.')) continue;
      newest = Math.max(newest, statSync(join(REPOSITORY, file), { throwIfNoEntry: false })?.mtimeMs ?? 0);
    }
  }
  return newest;
}

/** Every data directory that was used: what mentions one of them was started by a test. */
const used = new Set<string>();

/** What is left of everything that was started here, in words. Empty when all of it has ended. */
export function leftovers(): string[] {
  return [...used].flatMap((dir) =>
    processesWith(dir).map(({ pid, command }) => `process ${pid}: ${command.slice(0, 200)}`),
  );
}

export function remember({ FLM_DATA_DIR: dir }: Env): void {
  if (dir !== undefined) used.add(dir);
}

export interface StartOptions {
  /** Default: the data directory, where there is one yet. */
  readonly cwd?: string;
  /** A program that does something first and then becomes the executable: `['setpriv', '--reuid=65534']`. */
  readonly prefix?: readonly string[];
}

export interface RunOptions extends StartOptions {
  readonly stdin?: string;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command to its end, in exactly this environment. */
export async function flm(env: Env, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  remember(env);
  const child = Bun.spawn([...(options.prefix ?? []), await executable(), ...words], {
    env,
    cwd: options.cwd ?? directoryOf(env),
    stdin: options.stdin === undefined ? 'ignore' : new Blob([options.stdin]),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

/** Somewhere that is not this repository: nothing in the current directory may matter. */
function directoryOf({ FLM_DATA_DIR: dir }: Env): string {
  return dir !== undefined && statSync(dir, { throwIfNoEntry: false })?.isDirectory() ? dir : tmpdir();
}

/** The data of a command that did its work and said nothing else. */
export async function dataOf(env: Env, words: readonly string[], options: RunOptions = {}): Promise<unknown> {
  const ran = await flm(env, words, options);
  if (ran.code !== 0 || ran.stderr !== '') throw new Error(`flm ${words.join(' ')}: ${describe(ran)}`);
  return parseResult(ran.stdout);
}

/** What stdout holds: one line, one document. */
export function parseResult(stdout: string): unknown {
  const json: unknown = JSON.parse(stdout);
  if (!stdout.endsWith('\n') || stdout.indexOf('\n') !== stdout.length - 1 || !isRecord(json))
    throw new Error(`not one JSON document in one line: ${stdout}`);
  const { version, data, ...rest } = json;
  if (version !== '1.0' || data === undefined || Object.keys(rest).length > 0)
    throw new Error(`not {"version":"1.0","data":…}: ${stdout}`);
  return data;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

/** The error of a command that failed: stdout is empty, stderr holds the error and nothing else. */
export async function errorOf(
  env: Env,
  words: readonly string[],
  options: RunOptions = {},
): Promise<Failure & { readonly exit: number }> {
  const ran = await flm(env, words, options);
  if (ran.code === 0 || ran.stdout !== '') throw new Error(`flm ${words.join(' ')}: ${describe(ran)}`);
  return { ...parseFailure(ran.stderr), exit: ran.code };
}

/** What stderr holds: one line, `{"error":{code,message,hint}}`. */
export function parseFailure(stderr: string): Failure {
  const json: unknown = JSON.parse(stderr);
  const error = isRecord(json) && Object.keys(json).length === 1 ? json.error : null;
  if (!isRecord(error) || Object.keys(error).join() !== 'code,message,hint')
    throw new Error(`not {"error":{code,message,hint}}: ${stderr}`);
  const { code, message, hint } = error;
  if (typeof code !== 'string' || typeof message !== 'string' || (hint !== null && typeof hint !== 'string'))
    throw new Error(`not {"error":{code,message,hint}}: ${stderr}`);
  return { code, message, hint };
}

function describe({ code, stdout, stderr }: Ran): string {
  return `exit ${code}\nstdout: ${stdout}\nstderr: ${stderr}`;
}

/** What `flm up` prints once it serves. */
export interface UpData extends Status {
  readonly plain_key: string | null;
}

export interface RunningFlm extends AsyncDisposable {
  readonly pid: number;
  /** `http://127.0.0.1:<port>`, without `/v1`. */
  readonly url: string;
  readonly data: UpData;
  /** Milliseconds from the start of the process to its result on stdout, when it serves. */
  readonly startedInMs: number;
  /** The first key, or "" when this start made none. */
  readonly key: string;
  readonly stdout: Collected;
  readonly stderr: Collected;
  /** Resolves with the exit code, however it comes to an end. */
  readonly exited: Promise<number>;
  /** Sends a signal and resolves with the exit code; a negative number is the signal it died of. */
  stop(signal?: NodeJS.Signals): Promise<number>;
}

/** Starts `flm up --json <words>` and waits until it serves. Without words: on a free port. */
export async function startFlm(
  env: Env,
  words: readonly string[] = ['--port', '0'],
  options: StartOptions = {},
): Promise<RunningFlm> {
  const program = await executable();
  remember(env);
  const startedMs = performance.now();
  const child = Bun.spawn([...(options.prefix ?? []), program, 'up', '--json', ...words], {
    env,
    cwd: options.cwd ?? directoryOf(env),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const line = await firstLine(stdout);
  const startedInMs = performance.now() - startedMs;
  if (line === null) throw new Error(`flm up: exit ${await child.exited}\n${await stderr.whole}`);
  const data = parseResult(`${line}\n`) as UpData;
  const exited = child.exited.then((code) => (child.signalCode === null ? code : -code));
  const stop = (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    return exited;
  };
  return {
    pid: child.pid,
    url: `http://${data.listen_addr}`,
    data,
    startedInMs,
    key: data.plain_key ?? '',
    stdout,
    stderr,
    exited,
    stop,
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL');
    },
  };
}
