/** `flm security ip-blocklist clear` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { count } from '../../words';

export default command({
  about: 'Lift all bans that would end by themselves. Those without an end stay.',
  examples: ['flm security ip-blocklist clear'],
  async run({ cli }) {
    const cleared = await withBackend(cli, ({ security }) => security.clearBans());
    cli.result(cleared, () => {
      const kept =
        cleared.kept === 0 ? '' : ` ${count(cleared.kept, 'ban')} without an end: lift with unblock.`;
      return `Lifted: ${count(cleared.lifted, 'ban')}.${kept}`;
    });
  },
});
