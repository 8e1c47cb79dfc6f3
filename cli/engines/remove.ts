/** `flm engines remove` */
import { withBackend } from '../backend';
import { command } from '../command';

export default command({
  about: 'Forget an engine that was added by hand, and its key.',
  args: {
    id: { type: 'positional', required: true, description: 'The engine, as "flm engines list" shows it.' },
  },
  examples: ['flm engines remove gpu'],
  async run({ cli, args }) {
    const removed = await withBackend(cli, (backend) => backend.engines.remove(args.id));
    cli.result(removed, () => `The engine ${removed.id} is forgotten.`);
  },
});
