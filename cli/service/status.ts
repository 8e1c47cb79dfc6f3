/** `flm service status` */
import { command } from '../command';
import { SYSTEM_ARG, thisMachine } from './machine';
import { managerOf } from './manager';
import { serviceText } from './text';

export default command({
  about: 'Tell whether FLM is a service here, and how it is. Exit code 1 when it does not run.',
  args: SYSTEM_ARG,
  examples: ['flm service status', 'flm service status --system'],
  async run({ cli, args }) {
    const state = await managerOf(thisMachine(cli), args.system === true).state();
    cli.result(state, () => serviceText(state));
    if (!state.active) cli.fail(1);
  },
});
