/** `flm security stats` */
import { withBackend } from '../backend';
import { command } from '../command';
import { statsText } from './text';

export default command({
  about: 'What abuse protection does: what is on, who is banned, what was seen.',
  examples: ['flm security stats', 'flm security stats --json'],
  async run({ cli }) {
    const stats = await withBackend(cli, ({ security }) => security.stats());
    cli.result(stats, () => statsText(stats));
  },
});
