/** `flm check` */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { CheckReport } from '../src/admin/client';
import { FlmError } from '../src/lib/errors';
import { withBackend } from './backend';
import { type Cli, withProgress } from './cli';
import { command } from './command';
import { columns } from './table';
import { count } from './words';

const MARKS = { ok: '✓', warning: '!', error: '✗' } as const;

export default command({
  about: 'Examine this installation: databases, permissions, disk, clock, keys, settings, engines.',
  args: { verbose: { type: 'boolean', description: 'Show what is in order, too.' } },
  examples: ['flm check', 'flm check --verbose', 'flm check --json'],
  async run({ cli, args }) {
    const report = existsSync(cli.paths.dir) ? await examine(cli) : NOTHING;
    cli.result(report, () => textOf(report, args.verbose === true));
    if (report.status === 'error') cli.fail(1);
  },
});

/** Looking must not make what is not there. */
const NOTHING: CheckReport = {
  status: 'warning',
  checks: [
    {
      name: 'databases',
      status: 'warning',
      message: 'there are none yet: FLM has never run here. Start it with: flm up',
    },
  ],
};

async function examine(cli: Cli): Promise<CheckReport> {
  const { configDb, securityDb } = cli.paths;
  const missing = [configDb, securityDb].filter((path) => !existsSync(path)).map((path) => basename(path));
  if (missing.length === 2) return NOTHING;
  const report = await withProgress(cli, 'Examining', () =>
    withBackend(cli, (backend) => backend.check()),
  ).catch((error: unknown) => asReport(error));
  if (missing.length === 0) return report;
  const message = 'it was not there; an empty one has taken its place';
  const lost = missing.map((name) => ({ name, status: 'warning', message }) as const);
  const status = report.status === 'ok' ? 'warning' : report.status;
  return { status, checks: [...lost, ...report.checks] };
}

/** An installation that cannot even be opened is the finding. */
function asReport(error: unknown): CheckReport {
  if (!(error instanceof FlmError) || !/^(DB_|MIGRATION_|IO_|CONFIG_FILE)/.test(error.code)) throw error;
  const message = error.hint === null ? error.message : `${error.message} ${error.hint}`;
  return { status: 'error', checks: [{ name: error.code, status: 'error', message }] };
}

function textOf({ status, checks }: CheckReport, verbose: boolean): string {
  const shown = checks.filter((check) => verbose || check.status !== 'ok');
  const lines = shown.map(({ name, status: mark, message }) => [`${MARKS[mark]} ${name}`, message] as const);
  const summary = status === 'ok' ? `All ${checks.length} checks are in order.` : findingsOf(checks);
  return lines.length === 0 ? summary : `${columns(lines)}\n${summary}`;
}

/** `2 warnings; the other 9 checks are in order.` */
function findingsOf(checks: CheckReport['checks']): string {
  const having = (status: (typeof checks)[number]['status']) =>
    checks.filter((check) => check.status === status).length;
  const [errors, warnings, ok] = [having('error'), having('warning'), having('ok')];
  const found = [
    ...(errors > 0 ? [count(errors, 'error')] : []),
    ...(warnings > 0 ? [count(warnings, 'warning')] : []),
  ];
  const rest =
    ok === 0 ? '' : ok === 1 ? '; the other check is in order' : `; the other ${ok} checks are in order`;
  return `${found.join(', ')}${rest}.`;
}
