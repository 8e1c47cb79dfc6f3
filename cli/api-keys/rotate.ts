/** `flm api-keys rotate` */
import { type RotatedKey, RotateInput } from '../../src/admission';
import { withBackend } from '../backend';
import { command } from '../command';
import { DURATION, parseDuration } from '../duration';
import { outputFailed } from '../output';
import { localTime } from '../time';
import { KEY_WORD, keyIdFor } from './id';
import { keyText } from './text';

export default command({
  about: 'Replace an API key by a new one with the same rights.',
  args: {
    id: KEY_WORD,
    label: { type: 'string', description: 'A new label. Default: the old one.' },
    grace: {
      type: 'string',
      valueHint: '1h',
      description: `How long the old key goes on working: ${DURATION}. Default: not at all.`,
    },
  },
  examples: ['flm api-keys rotate 4fK2mQ7x', 'flm api-keys rotate 4fK2mQ7x --grace 24h'],
  async run({ cli, args }) {
    const grace =
      args.grace === undefined
        ? {}
        : { grace_s: parseDuration('--grace', args.grace, RotateInput.properties.grace_s) };
    const label = args.label === undefined ? {} : { label: args.label };
    const rotated = await withBackend(cli, async ({ keys }) =>
      keys.rotate(await keyIdFor(keys, args.id), { ...label, ...grace }),
    );
    cli.result(rotated, () => `${keyText(rotated)}\n${endText(rotated, cli.clock.nowMs())}`);
    const lost = await cli.delivered();
    if (lost !== null)
      throw outputFailed(
        lost,
        `Nobody has seen the new key. For another one: flm api-keys rotate ${rotated.id}`,
      );
  },
});

function endText({ old_key_id: id, old_key_valid_until: end }: RotatedKey, nowMs: number): string {
  if (Date.parse(end) <= nowMs) return `The old key ${id} no longer works.`;
  return `The old key ${id} works until ${localTime(end)}.`;
}
