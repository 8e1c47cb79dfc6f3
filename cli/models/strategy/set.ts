/** `flm models strategy set` */
import { FlmError } from '../../../src/lib/errors';
import { STRATEGIES, type Strategy } from '../../../src/models';
import { withBackend } from '../../backend';
import { withProgress } from '../../cli';
import { command } from '../../command';
import { strategyText } from '../text';

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
