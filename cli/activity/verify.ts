/** `flm activity verify` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { verdictText } from './text';

export default command({
  about: 'Examine whether the request log is as FLM wrote it.',
  details: [
    'Finds rows that were changed, removed, put in or moved, and days that are gone',
    'or were exchanged. It names the first one; then the exit code is 1.',
  ],
  examples: ['flm activity verify'],
  async run({ cli }) {
    const verdict = await withProgress(cli, 'Examining the request log', () =>
      withBackend(cli, (backend) => backend.activity.verify()),
    );
    cli.result(verdict, () => verdictText(verdict));
    if (!verdict.valid) cli.fail(1);
  },
});
