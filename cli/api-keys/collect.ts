/** `flm api-keys collect` */
import { withBackend } from '../backend';
import { command } from '../command';
import { outputFailed } from '../output';
import { KEY_WORD, keyIdFor } from './id';
import { keyText } from './text';

export default command({
  about: 'Fetch, once, the new key after one was replaced by itself (--rotate-every).',
  args: { id: KEY_WORD },
  details: ['The old key or the new one may be named; "flm api-keys list" shows them.'],
  examples: ['flm api-keys collect 4fK2mQ7x', 'flm api-keys collect ci --json | jq -r .data.plain_key'],
  async run({ cli, args }) {
    const created = await withBackend(cli, async ({ keys }) =>
      keys.collect(await keyIdFor(keys, args.id, 'waiting')),
    );
    cli.result(created, () => keyText(created));
    const lost = await cli.delivered();
    if (lost !== null)
      throw outputFailed(
        lost,
        `Nobody has seen the new key. For another one: flm api-keys rotate ${created.id}`,
      );
  },
});
