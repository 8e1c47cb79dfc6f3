/** `flm config get` */
import { withBackend } from '../backend';
import { command } from '../command';
import { SETTING_WORD } from './setting';

export default command({
  about: 'Print a setting.',
  args: { key: SETTING_WORD },
  examples: ['flm config get proxy.port'],
  async run({ cli, args }) {
    const setting = await withBackend(cli, (backend) => backend.config.get(args.key));
    cli.result(setting, () => setting.value);
    // Beside the value and not behind it: scripts read that.
    if (setting.waits && cli.format === 'text') cli.note('FLM uses this value after its next start.');
  },
});
