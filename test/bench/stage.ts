/** Everything the benchmark starts or creates on the machine, and its undoing: processes and temporary directories. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive, processTree } from './proc';

const STOP_LIMIT_MS = 5000;
const START_LIMIT_MS = 10_000;
const RUN_LIMIT_MS = 120_000;

/** A process that serves until stopped. */
export interface Service {
  pid: number;
  /** Whether the process has ended, by itself or by `stop`. */
  ended(): boolean;
  /** The first line it printed, e.g. its port. @throws Error with its last words when none comes. */
  firstLine(): Promise<string>;
  /** The last line it wrote to stderr, for a message about why it did not start. */
  lastWords(): string;
  stop(): Promise<void>;
}

export interface StageOptions {
  env?: Record<string, string>;
  cwd?: string;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  exitCode: number;
}

/** Holds what was started; `close` ends it in reverse order and may be called at any time, also twice. */
export class Stage {
  readonly #services: Service[] = [];
  readonly #runs = new Set<Bun.Subprocess>();
  readonly #directories: string[] = [];
  #closing: Promise<void> | null = null;

  /** A new temporary directory, removed by `close`. */
  directory(name: string): string {
    const path = mkdtempSync(join(tmpdir(), `flm-bench-${name}-`));
    this.#directories.push(path);
    return path;
  }

  /** Starts a process that keeps running. */
  start(command: string[], options: StageOptions = {}): Service {
    this.#refuseWhenClosed();
    const log = join(this.directory('log'), 'stderr');
    const child = Bun.spawn(command, {
      ...surroundings(options),
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: Bun.file(log),
    });
    const lastWords = () => readFileSync(log, 'utf8').trim().split('\n').at(-1) || 'it said nothing';
    const line = readFirstLine(child.stdout);
    const service: Service = {
      pid: child.pid,
      ended: () => hasEnded(child),
      lastWords,
      async firstLine() {
        const first = await Promise.race([line, Bun.sleep(START_LIMIT_MS).then(() => null)]);
        if (first === null) throw new Error(`${command.join(' ')} did not start: ${lastWords()}`);
        return first;
      },
      stop: () => stopTree(child),
    };
    this.#services.push(service);
    return service;
  }

  /** Runs a process to its end and collects what it wrote. */
  async run(command: string[], options: StageOptions & { stdin?: string } = {}): Promise<RunResult> {
    this.#refuseWhenClosed();
    const child = Bun.spawn(command, {
      ...surroundings(options),
      stdin: new Blob([options.stdin ?? '']),
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: RUN_LIMIT_MS,
    });
    this.#runs.add(child);
    const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
    const [stdout, stderr, exitCode] = await Promise.all([...texts, child.exited]);
    this.#runs.delete(child);
    return { stdout, stderr, exitCode };
  }

  /** Whether everything was or is being stopped; what fails from then on is nobody's fault. */
  get closed(): boolean {
    return this.#closing !== null;
  }

  /** Ends every process and removes every directory. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    for (const child of this.#runs) child.kill('SIGKILL');
    for (const service of this.#services.splice(0).reverse()) await service.stop();
    for (const path of this.#directories.splice(0).reverse()) rmSync(path, { recursive: true, force: true });
  }

  #refuseWhenClosed(): void {
    if (this.closed) throw new Error('the benchmark was stopped');
  }
}

function surroundings({ env, cwd }: StageOptions) {
  return { env: { ...process.env, ...env }, ...(cwd === undefined ? {} : { cwd }) };
}

function hasEnded(child: Bun.Subprocess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The first line of a stream, or null when it ends without one; reads on, so that the writer never blocks. */
function readFirstLine(stream: ReadableStream<Uint8Array>): Promise<string | null> {
  const first = Promise.withResolvers<string | null>();
  const decoder = new TextDecoder();
  const read = async () => {
    let text = '';
    for await (const bytes of stream) {
      if (text.includes('\n')) continue;
      text += decoder.decode(bytes, { stream: true });
      if (text.includes('\n')) first.resolve(text.slice(0, text.indexOf('\n')));
    }
    first.resolve(null);
  };
  read().catch(() => first.resolve(null));
  return first.promise;
}

/** Asks a process to end, waits for its whole tree, and ends by force what is left after the limit. */
async function stopTree(child: Bun.Subprocess): Promise<void> {
  if (hasEnded(child)) return;
  const tree = processTree(child.pid);
  const startedMs = performance.now();
  child.kill('SIGTERM');
  while (tree.some(isAlive) && performance.now() - startedMs < STOP_LIMIT_MS) await Bun.sleep(5);
  for (const pid of tree.filter(isAlive)) process.kill(pid, 'SIGKILL');
  await child.exited;
}
