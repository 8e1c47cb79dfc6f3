/** `flm config get` */
import { withBackend } from '../backend';
import { command } from '../command';

export default command({
  about: 'Print a setting.',
  args: { key: { type: 'positional', required: true, description: 'The setting, such as proxy.port.' } },
  examples: ['flm config get proxy.port'],
  async run({ cli, args }) {
    const setting = await withBackend(cli, (backend) => backend.config.get(args.key));
    cli.result(setting, () => setting.value);
  },
});
