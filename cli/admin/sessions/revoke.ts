/** `flm admin sessions revoke` */
import { withBackend } from '../../backend';
import { command } from '../../command';

export default command({
  about: 'End a session of the admin API. Its browser or script is refused from the next request on.',
  args: {
    id: {
      type: 'positional',
      required: true,
      description: 'The session, as "flm admin sessions list" shows it.',
    },
  },
  examples: ['flm admin sessions revoke 01a20a89-cdd7-755c-af1a-65c3b2be0c09'],
  async run({ cli, args }) {
    const closed = await withBackend(cli, (backend) => backend.sessions.close(args.id));
    cli.result(closed, () => `The session ${closed.id} has ended.`);
  },
});
