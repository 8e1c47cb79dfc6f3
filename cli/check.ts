/** `flm check` */
import type { CheckReport } from '../src/admin/client';
import { FlmError } from '../src/lib/errors';
import { withBackend } from './backend';
import { withProgress } from './cli';
import { command } from './command';
import { columns } from './table';
import { count } from './words';

const MARKS = { ok: '✓', warning: '!', error: '✗' } as const;

export default command({
  about: 'Examine this installation: databases, permissions, keys, settings, engines.',
  args: { verbose: { type: 'boolean', description: 'Show what is in order, too.' } },
  examples: ['flm check', 'flm check --verbose', 'flm check --json'],
  async run({ cli, args }) {
    const report = await withProgress(cli, 'Examining', () =>
      withBackend(cli, (backend) => backend.check()),
    ).catch((error: unknown) => asReport(error));
    cli.result(report, () => textOf(report, args.verbose === true));
    if (report.status === 'error') cli.fail(1);
  },
});

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
