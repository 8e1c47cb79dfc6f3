/** `flm egress test` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { testText } from './text';

export default command({
  about:
    'Try the way out: the tunnel, and every engine that is not on this machine, or a URL. Exit code 1 when one fails.',
  args: {
    url: { type: 'positional', required: false, description: 'What to ask for: https://example.org' },
  },
  examples: ['flm egress test', 'flm egress test https://example.org --json'],
  async run({ cli, args }) {
    const input = args.url === undefined ? {} : { url: args.url };
    const report = await withProgress(cli, 'Asking', () =>
      withBackend(cli, (backend) => backend.wayOut.test(input)),
    );
    cli.result(report, () => testText(report));
    if (!report.ok) cli.fail(1);
  },
});
