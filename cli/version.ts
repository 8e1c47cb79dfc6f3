/** `flm version`. The entry answers the plain form by itself; this is for `--json` and `--help`. */
import { VERSION } from '../src/version';
import { command } from './command';

export default command({
  about: 'Print the version.',
  examples: ['flm version'],
  async run({ cli }) {
    cli.result({ version: VERSION }, () => `flm ${VERSION}`);
  },
});
