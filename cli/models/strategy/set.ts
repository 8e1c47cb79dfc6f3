/** `flm models strategy set` */
import { FlmError } from '../../../src/lib/errors';
import { STRATEGIES, type Strategy } from '../../../src/models';
import { withBackend } from '../../backend';
import { withProgress } from '../../cli';
import { command } from '../../command';
import { columns } from '../../table';
import { strategyText } from '../text';

const FIRST = {
  'least-busy': 'smaller share of its slots taken; the default of models',
  'highest-score': 'fewest failures, best speed and latency in one figure',
  'lowest-error-rate': 'smaller share of recent requests that failed',
  'highest-throughput': 'more tokens per second',
  manual: "order of the alias's targets, or of flm engines list",
} as const satisfies Record<Strategy, string>;

export default command({
  about: 'Say how to choose among the engines that have a model.',
  args: {
    name: { type: 'positional', required: true, description: 'A model or an alias.' },
    strategy: {
      type: 'positional',
      required: true,
      description: `How: ${STRATEGIES.join(', ')}.`,
    },
  },
  details: [
    'Of the engines that can be asked, first comes by',
    ...columns(STRATEGIES.map((strategy) => [strategy, FIRST[strategy]])).split('\n'),
    'Engines about as good as the best take turns: docs/models.md.',
  ],
  examples: [
    'flm models strategy set llama3.2 highest-throughput',
    'flm models strategy set llama3.2 manual',
  ],
  async run({ cli, args }) {
    const input = { name: args.name, strategy: strategyOf(args.strategy) };
    const view = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, (backend) => backend.models.setStrategy(input)),
    );
    cli.result(view, () => strategyText(view));
  },
});

function strategyOf(text: string): Strategy {
  const strategy = STRATEGIES.find((known) => known === text);
  if (strategy !== undefined) return strategy;
  const reason = `"${text}" is none of ${STRATEGIES.join(', ')}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: 'strategy', reason } });
}
