/** `flm engines health-history` */
import type { HealthHistory } from '../../src/engines';
import { withBackend } from '../backend';
import { command } from '../command';
import { wholeNumber } from '../numbers';
import { table } from '../table';

export default command({
  about: 'Show how engines and their models were over time.',
  args: {
    engine: { type: 'string', description: 'Only this engine.', valueHint: 'id' },
    model: { type: 'string', description: 'Only requests for this model.', valueHint: 'name' },
    hours: { type: 'string', description: 'How far to look back. Default: 24.', valueHint: 'N' },
    limit: { type: 'string', description: 'Rows to show, the newest first. Default: 100.', valueHint: 'N' },
  },
  examples: ['flm engines health-history', 'flm engines health-history --engine ollama-default --hours 168'],
  async run({ cli, args }) {
    const query = {
      engine: args.engine ?? null,
      model: args.model ?? null,
      hours: wholeNumber('hours', args.hours, { min: 1, max: 8_784 }) ?? 24,
      limit: wholeNumber('limit', args.limit, { min: 1, max: 10_000 }) ?? 100,
    };
    const history = await withBackend(cli, (backend) => backend.engines.healthHistory(query));
    cli.result(history, () => text(history));
  },
});

function text({ items, summary }: HealthHistory): string {
  const rows = items.map((row) => [
    row.created_at.replace('T', ' ').replace(/\.\d+Z$/, 'Z'),
    row.engine_id,
    row.model_id ?? '-',
    row.status,
    row.latency_ms === null ? '-' : `${row.latency_ms} ms`,
    row.requests === 0 ? '-' : String(row.requests),
    percent(row.error_rate),
  ]);
  const shown = table(
    ['TIME', 'ENGINE', 'MODEL', 'STATUS', 'LATENCY', 'REQUESTS', 'ERRORS'],
    rows,
    'Nothing is known of that time.',
  );
  if (summary.success_rate === null) return shown;
  const { healthy, degraded, unreachable } = summary;
  const latency = summary.avg_latency_ms === null ? '' : `, ${summary.avg_latency_ms} ms on average`;
  const counts = `${healthy} healthy, ${degraded} degraded, ${unreachable} unreachable`;
  return `${shown}\n\n${percent(summary.success_rate)} healthy: ${counts}${latency}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
