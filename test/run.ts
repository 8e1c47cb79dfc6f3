/**
 * Runs the stages of a check one after the other, names everything that failed or was skipped, and ends with one line:
 * `N passed, N failed` (`, N skipped`).
 * `check`: linter, types, unit, architecture and contract tests. `e2e`: builds the executable and tests it, also against
 * a real engine. `verify`: both. `real`: builds it and tests it against real engines, slow and large ones too. Exit code 1
 * when anything failed.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What failed, by name. */
  readonly failures: readonly string[];
  /** Why something was skipped, each reason once. */
  readonly skips: readonly string[];
}

type Stage = () => Promise<Outcome>;

const ROOT = join(import.meta.dir, '..');
const BUN = process.execPath;
/** Files of tests that run beside each other. They share the machine and nothing else: ports and directories are each one's own. */
const LANES = Math.min(2, availableParallelism());
/** Tests of FLM under a load that takes the whole machine: beside others they would measure those. */
const ALONE = ['at-once', 'crash', 'daemon', 'handover'].map((name) => `test/e2e/${name}.test.ts`);
/** Everything a test starts, it closes: one that takes longer than this has a bug. */
const TEST_TIMEOUT_MS = 30_000;

const stages = {
  check: [
    tool('biome', [BUN, 'x', '--bun', 'biome', 'check', '.']),
    tool('tsc', [BUN, 'x', 'tsc', '--noEmit']),
    tests('unit, architecture, contract', [
      'src',
      'db',
      'certs',
      'cli',
      'docs',
      'test/arch',
      'test/fake',
      'test/contract',
      'test/bench',
    ]),
  ],
  e2e: [
    tool('build', [BUN, 'build.ts']),
    tests('executable, real engine', ['test/e2e', 'test/real'], { without: ALONE }),
    tests('executable under load', ALONE, { lanes: 1 }),
  ],
  real: [
    tool('build', [BUN, 'build.ts']),
    tests('real engines, slow ones too', ['test/real', 'test/slow'], {
      lanes: 1,
      env: { FLM_TEST_SLOW: '1' },
    }),
  ],
} as const satisfies Record<string, readonly Stage[]>;

/** A program that passes or fails as a whole. */
function tool(name: string, command: readonly string[]): Stage {
  return async () => {
    console.log(`\n── ${name}`);
    const code = await run(command);
    return code === 0
      ? { passed: 1, failed: 0, skipped: 0, failures: [], skips: [] }
      : failed(`${name} (exit code ${code})`);
  };
}

interface TestOptions {
  /** Files that another stage runs. */
  readonly without?: readonly string[];
  /** How many files run beside each other. Default: two, where there are processors for two. */
  readonly lanes?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Tests in some folders or files; what counts is what the runner reports, and that it ended well. */
function tests(
  name: string,
  places: readonly string[],
  { without = [], lanes = LANES, env = {} }: TestOptions = {},
): Stage {
  return async () => {
    console.log(`\n── tests: ${name}`);
    const dir = mkdtempSync(join(tmpdir(), 'flm-junit-'));
    const report = join(dir, 'report.xml');
    const missing = join(dir, 'missing.txt');
    try {
      writeFileSync(missing, '');
      const paths = places.map((place) => (place.endsWith('.ts') ? `./${place}` : `./${place}/`));
      const beside = lanes > 1 ? [`--parallel=${lanes}`, '--no-isolate'] : [];
      const code = await run(
        [
          BUN,
          'test',
          `--timeout=${TEST_TIMEOUT_MS}`,
          '--reporter=junit',
          `--reporter-outfile=${report}`,
          ...beside,
          ...without.map((file) => `--path-ignore-patterns=${file}`),
          ...paths,
        ],
        { ...env, FLM_TEST_MISSING: missing },
      );
      const xml = readFileSync(report, 'utf8');
      const failures = failuresIn(xml);
      const skips = [...new Set(readFileSync(missing, 'utf8').split('\n'))].filter((line) => line !== '');
      const outcome = { ...countsIn(xml), failures, skips };
      // A crash, or an error outside any test, is a failure that no count shows.
      if (code === 0 || outcome.failed > 0) return outcome;
      return { ...outcome, failed: 1, failures: [`${name}: something outside the tests, see above`] };
    } catch (error) {
      return failed(`${name}: no test report (${String(error)})`);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  };
}

function failed(what: string): Outcome {
  return { passed: 0, failed: 1, skipped: 0, failures: [what], skips: [] };
}

function countsIn(xml: string): Pick<Outcome, 'passed' | 'failed' | 'skipped'> {
  const root = /<testsuites[^>]*>/.exec(xml)?.[0] ?? '';
  const read = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? Number.NaN);
  const [total, failed, skipped] = [read('tests'), read('failures'), read('skipped')];
  if (![total, failed, skipped].every(Number.isInteger)) throw new Error(`unreadable report: ${root}`);
  return { passed: total - failed - skipped, failed, skipped };
}

/** `cli/help.test.ts: flm chat: has examples` */
function failuresIn(xml: string): string[] {
  return [...xml.matchAll(/<testcase ([^>]*[^/])>\s*<(?:failure|error)\b/g)].map(([, attributes = '']) => {
    const read = (name: string) =>
      unescapeXml(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? '');
    return [read('file'), read('classname'), read('name')].filter((part) => part !== '').join(': ');
  });
}

function unescapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replaceAll(/&(\w+);/g, (whole, name: string) => names[name] ?? whole);
}

async function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> {
  const child = Bun.spawn([...command], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return child.exited;
}

const wanted = process.argv[2] ?? 'check';
const choices: Readonly<Record<string, readonly Stage[]>> = {
  ...stages,
  verify: [...stages.check, ...stages.e2e],
};
const chosen = choices[wanted] ?? stages.check;
const outcomes: Outcome[] = [];
for (const stage of chosen) outcomes.push(await stage());

const sum = (name: 'passed' | 'failed' | 'skipped') =>
  outcomes.reduce((total, outcome) => total + outcome[name], 0);
list(
  'Skipped',
  outcomes.flatMap(({ skips }) => skips),
);
list(
  'Failed',
  outcomes.flatMap(({ failures }) => failures),
);
const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : '';
console.log(`\n${sum('passed')} passed, ${sum('failed')} failed${skipped}`);
process.exit(sum('failed') === 0 ? 0 : 1);

function list(title: string, lines: readonly string[]): void {
  if (lines.length > 0) console.log(`\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}
