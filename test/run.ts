/**
 * Runs the stages of a check one after the other and ends with one line: `N passed, N failed` (`, N skipped`).
 * `check`: linter, types, unit, architecture and contract tests. `e2e`: builds the executable and tests it, also against
 * a real engine. `verify`: both. Exit code 1 when anything failed.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

type Stage = () => Promise<Counts>;

const ROOT = join(import.meta.dir, '..');
const BUN = process.execPath;
/** Everything a test starts, it closes: one that takes longer than this has a bug. */
const TEST_TIMEOUT_MS = 30_000;

const stages = {
  check: [
    tool('biome', [BUN, 'x', '--bun', 'biome', 'check', '.']),
    tool('tsc', [BUN, 'x', 'tsc', '--noEmit']),
    tests('unit, architecture, contract', [
      'src',
      'db',
      'cli',
      'docs',
      'test/arch',
      'test/fake',
      'test/contract',
      'test/bench',
    ]),
  ],
  e2e: [tool('build', [BUN, 'build.ts']), tests('executable, real engine', ['test/e2e', 'test/real'])],
} as const satisfies Record<string, readonly Stage[]>;

/** A program that passes or fails as a whole. */
function tool(name: string, command: readonly string[]): Stage {
  return async () => {
    console.log(`\n── ${name}`);
    const code = await run(command);
    if (code !== 0) console.log(`${name} failed (exit code ${code})`);
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  };
}

/** Tests in some folders; what counts is what the runner reports, and that it ended well. */
function tests(name: string, folders: readonly string[]): Stage {
  return async () => {
    console.log(`\n── tests: ${name}`);
    const dir = mkdtempSync(join(tmpdir(), 'flm-junit-'));
    const report = join(dir, 'report.xml');
    try {
      const paths = folders.map((folder) => `./${folder}/`);
      const code = await run([
        BUN,
        'test',
        `--timeout=${TEST_TIMEOUT_MS}`,
        '--reporter=junit',
        `--reporter-outfile=${report}`,
        ...paths,
      ]);
      const counts = countsIn(readFileSync(report, 'utf8'));
      // A crash, or an error outside any test, is a failure that no count shows.
      return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
    } catch (error) {
      console.log(`no test report: ${String(error)}`);
      return { passed: 0, failed: 1, skipped: 0 };
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  };
}

function countsIn(xml: string): Counts {
  const root = /<testsuites[^>]*>/.exec(xml)?.[0] ?? '';
  const read = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? Number.NaN);
  const [total, failed, skipped] = [read('tests'), read('failures'), read('skipped')];
  if (![total, failed, skipped].every(Number.isInteger)) throw new Error(`unreadable report: ${root}`);
  return { passed: total - failed - skipped, failed, skipped };
}

async function run(command: readonly string[]): Promise<number> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  return child.exited;
}

const wanted = process.argv[2] ?? 'check';
const chosen: readonly Stage[] =
  wanted === 'verify' ? [...stages.check, ...stages.e2e] : wanted === 'e2e' ? stages.e2e : stages.check;
const total = { passed: 0, failed: 0, skipped: 0 };
for (const stage of chosen) {
  const { passed, failed, skipped } = await stage();
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}
const skips = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`\n${total.passed} passed, ${total.failed} failed${skips}`);
process.exit(total.failed === 0 ? 0 : 1);
