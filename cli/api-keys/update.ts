/** `flm api-keys update` */
import type { KeyChange } from '../../src/admission';
import { FlmError } from '../../src/lib/errors';
import { withBackend } from '../backend';
import { command } from '../command';
import { inFlags } from '../flag-names';
import { printable } from '../table';
import { checkPattern } from './create';
import { KEY_WORD, keyIdFor } from './id';
import { TERM_ARGS, TERM_FLAGS, TERM_LISTS, termsIn } from './terms';
import { termsText } from './text';

export default command({
  about:
    'Change limits, lists or label of an API key. The next request goes by them; the key stays the same.',
  args: {
    id: KEY_WORD,
    label: { type: 'string', description: 'A new label.' },
    model: {
      type: 'string',
      description: 'A model it may use, in place of those before (repeatable; "*": all).',
    },
    ...TERM_ARGS,
  },
  repeatable: ['model', ...TERM_LISTS],
  examples: [
    'flm api-keys update phone --rpm 60 --burst 10',
    'flm api-keys update phone --cidr 192.168.0.0/16 --cidr 2001:db8::/64',
    'flm api-keys update phone --rpm policy --cidr any',
  ],
  async run({ cli, args, all }) {
    const models = all('model');
    for (const pattern of models) checkPattern(pattern);
    const change: KeyChange = {
      ...(args.label === undefined ? {} : { label: args.label }),
      ...(models.length === 0 ? {} : { models: models.includes('*') ? null : [...models] }),
      ...termsIn(args, all),
    };
    if (Object.keys(change).length === 0)
      throw new FlmError('INVALID_INPUT', {
        meta: { field: 'options', reason: 'nothing was given to change' },
        hint: 'See what there is: flm api-keys update --help',
      });
    const key = await withBackend(cli, async ({ keys }) => {
      const id = await keyIdFor(keys, args.id);
      return inFlags(TERM_FLAGS, () => keys.update(id, change));
    });
    cli.result(key, () => {
      const lines = termsText(key).map((line) => `  ${line}`);
      return [`Key ${key.id} for "${printable(key.label)}" is changed.`, ...lines].join('\n');
    });
  },
});
