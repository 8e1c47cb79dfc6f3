/** A fake engine as a process of its own, so that its load is not the test's, and it can be told to misbehave. */
import { join } from 'node:path';
import { type Collected, collect } from './output';

export interface FakeProcess extends AsyncDisposable {
  readonly url: string;
  /** What it counts (test/fake/main.ts). */
  stats(): Promise<FakeStats>;
  /** `fault status-429`, `fault-once slow`, `heal` */
  tell(line: string): void;
}

export interface FakeStats {
  readonly requests: readonly string[];
  readonly busy: number;
  readonly waiting: number;
  readonly served: number;
  readonly aborted: number;
  readonly connections: number;
}

const MAIN = join(import.meta.dir, '..', 'fake', 'main.ts');

/** `startFakeProcess('llamacpp', '--slots', '4')` */
export async function startFakeProcess(kind: string, ...options: readonly string[]): Promise<FakeProcess> {
  const child = Bun.spawn([process.execPath, MAIN, kind, '--stdin', ...options], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const output = collect(child.stdout);
  const [url = ''] = (await linesOf(output, 1)).slice(0, 1);
  let answers = 1;

  function tell(line: string): void {
    child.stdin.write(`${line}\n`);
    child.stdin.flush();
  }

  return {
    url,
    tell,
    async stats() {
      const at = answers++;
      tell('stats');
      return JSON.parse((await linesOf(output, at + 1))[at] ?? 'null');
    },
    async [Symbol.asyncDispose]() {
      // It ends with its standard input.
      child.stdin.end();
      await child.exited;
    },
  };
}

/** The whole lines of the output, at least `count` of them. */
async function linesOf(output: Collected, count: number): Promise<string[]> {
  const text = await output.until((soFar) => soFar.split('\n').length > count);
  const lines = text.split('\n').slice(0, -1);
  if (lines.length < count) throw new Error(`the fake engine ended early: ${text}`);
  return lines;
}
