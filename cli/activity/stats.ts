/** `flm activity stats` */
import { STATS_BY } from '../../src/activity';
import { FlmError } from '../../src/lib/errors';
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { FILTER_ARGS, rangeOf } from './filter';
import { statsText } from './text';

export default command({
  about: 'Say what requests add up to: how many, how many failed, tokens, and how long they took.',
  args: {
    by: {
      type: 'string',
      valueHint: STATS_BY.join('|'),
      description: `What to group them by: ${STATS_BY.join(', ')}. Default: model.`,
    },
    since: { ...FILTER_ARGS.since, description: `${FILTER_ARGS.since.description} Default: 24h.` },
    until: FILTER_ARGS.until,
    key: FILTER_ARGS.key,
    model: FILTER_ARGS.model,
    engine: FILTER_ARGS.engine,
  },
  examples: ['flm activity stats', 'flm activity stats --by key --since 7d'],
  async run({ cli, args }) {
    const by = STATS_BY.find((known) => known === (args.by ?? 'model'));
    if (by === undefined) {
      const reason = `"${args.by}" is none of ${STATS_BY.join(', ')}`;
      throw new FlmError('INVALID_INPUT', { meta: { field: '--by', reason } });
    }
    const query = {
      by,
      key: args.key ?? null,
      model: args.model ?? null,
      engine: args.engine ?? null,
      ...rangeOf(cli, { since: args.since ?? '24h', until: args.until }),
    };
    const stats = await withProgress(cli, 'Counting', () =>
      withBackend(cli, (backend) => backend.activity.stats(query)),
    );
    cli.result(stats, () => statsText(stats));
  },
});
