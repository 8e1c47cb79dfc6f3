/** `flm engines health-history` */
import type { HealthHistory } from '../../src/engines';
import { withBackend } from '../backend';
import { command } from '../command';
import { wholeNumber } from '../numbers';
import { table } from '../table';
import { localTime } from '../time';

export default command({
  about: 'Show how engines and their models were over time.',
  args: {
    engine: {
      type: 'string',
      description: 'Only this engine: its id, or a kind for all of it.',
      valueHint: 'engine',
    },
    model: { type: 'string', description: 'Only requests for this model.', valueHint: 'name' },
    hours: { type: 'string', description: 'How far to look back. Default: 24.', valueHint: 'N' },
    limit: { type: 'string', description: 'Rows to show, the newest first. Default: 100.', valueHint: 'N' },
  },
  details: [
    'A row without a model is a look at the engine: one when its status changes,',
    'else one a minute. LATENCY is then the time until it answered. A row with a',
    'model, named below it, sums up the requests of a minute: LATENCY is the time',
    'to the first token, on average, and ERRORS the share of them that failed.',
    '"unreachable" is an engine that does not answer, or not usably, or wants a key',
    'that FLM does not have: "flm engines list" says which.',
  ],
  examples: ['flm engines health-history', 'flm engines health-history --engine ollama-default --hours 168'],
  async run({ cli, args }) {
    const query = {
      engine: args.engine ?? null,
      model: args.model ?? null,
      hours: wholeNumber('hours', args.hours, { min: 1, max: 8_784 }) ?? 24,
      limit: wholeNumber('limit', args.limit, { min: 1, max: 10_000 }) ?? 100,
    };
    const history = await withBackend(cli, (backend) => backend.engines.healthHistory(query));
    cli.result(history, () => historyText(history, query.model));
  },
});

/** `of`: the model that was asked for, or null for looks at engines as well. */
export function historyText({ items, summary }: HealthHistory, of: string | null): string {
  const rows = items.map((row) => ({
    cells: [
      localTime(row.created_at),
      row.engine_id,
      row.status,
      row.latency_ms === null ? '-' : `${row.latency_ms} ms`,
      row.requests === 0 ? '-' : String(row.requests),
      row.requests === 0 ? '-' : percent(row.error_rate),
    ],
    // Names of models are too long for a column.
    below: row.model_id,
  }));
  const shown = table(
    ['TIME', 'ENGINE', 'STATUS', 'LATENCY', 'REQUESTS', 'ERRORS'],
    rows,
    'Nothing is known of that time.',
  );
  const { total, healthy, degraded, unreachable, success_rate: share, avg_latency_ms: latencyMs } = summary;
  if (share === null) return shown;
  // The latency of looks and that of first tokens have no average in common.
  const latency = of === null || latencyMs === null ? '' : `\nFirst token after ${latencyMs} ms on average.`;
  const counts = `${healthy} healthy (${percent(share)}), ${degraded} degraded, ${unreachable} unreachable`;
  return `${shown}\n\nOf ${total} ${total === 1 ? 'row' : 'rows'} in that time: ${counts}.${latency}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
