/** `flm models alias remove` */
import { withBackend } from '../../backend';
import { command } from '../../command';

export default command({
  about: 'Forget an alias, and its strategy.',
  args: { name: { type: 'positional', required: true, description: 'The alias.' } },
  examples: ['flm models alias remove fast'],
  async run({ cli, args }) {
    const removed = await withBackend(cli, (backend) => backend.models.removeAlias(args.name));
    cli.result(removed, () => `The alias ${removed.name} is forgotten.`);
  },
});
