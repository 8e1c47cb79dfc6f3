/** `flm service uninstall` */
import { command } from '../command';
import { SYSTEM_ARG, thisMachine } from './machine';
import { managerOf } from './manager';
import { serviceText } from './text';

export default command({
  about: 'Stop the service and remove it. Keys, settings and everything else FLM has stay.',
  args: SYSTEM_ARG,
  examples: ['flm service uninstall', 'flm service uninstall --system'],
  async run({ cli, args }) {
    const state = await managerOf(thisMachine(cli), args.system === true).uninstall();
    cli.result(state, () => serviceText(state));
  },
});
