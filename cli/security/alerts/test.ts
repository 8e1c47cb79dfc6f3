/** `flm security alerts test` */
import { withBackend } from '../../backend';
import { withProgress } from '../../cli';
import { command } from '../../command';
import { testText } from './text';

export default command({
  about: 'Send a test message now, and say what came back.',
  args: { target: { type: 'string', valueHint: 'ID', description: 'Only this one. Default: all targets.' } },
  details: ['Exit code 1: a target did not take it.'],
  examples: ['flm security alerts test', 'flm security alerts test --target ops'],
  async run({ cli, args }) {
    const input = args.target === undefined ? {} : { target: args.target };
    const report = await withProgress(cli, 'Sending', () =>
      withBackend(cli, (backend) => backend.alerts.test(input)),
    );
    cli.result(report, () => testText(report.items));
    if (report.items.some(({ ok }) => !ok)) cli.fail(1);
  },
});
