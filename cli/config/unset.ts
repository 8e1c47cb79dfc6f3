/** `flm config unset` */
import { withBackend } from '../backend';
import { command } from '../command';
import { SETTING_WORD } from './setting';
import { changeText } from './text';

export default command({
  about: 'Take a change of a setting back.',
  args: { key: SETTING_WORD },
  examples: ['flm config unset proxy.port'],
  async run({ cli, args }) {
    const change = await withBackend(cli, (backend) => backend.config.unset(args.key));
    cli.result(change, () => changeText(change));
  },
});
