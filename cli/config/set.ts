/** `flm config set` */
import { withBackend } from '../backend';
import { command } from '../command';
import { SETTING_WORD } from './setting';
import { changeText } from './text';

export default command({
  about: 'Change a setting. Says whether the change is in force.',
  args: {
    key: SETTING_WORD,
    value: { type: 'positional', required: true, description: 'Its new value.' },
  },
  examples: [
    'flm config set proxy.max_body_bytes 67108864',
    'flm config set proxy.trusted_proxies 10.0.0.1,fd00::/8',
  ],
  async run({ cli, args }) {
    const change = await withBackend(cli, (backend) => backend.config.set(args.key, args.value));
    cli.result(change, () => changeText(change));
  },
});
