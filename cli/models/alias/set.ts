/** `flm models alias set` */
import { FlmError } from '../../../src/lib/errors';
import { parseTargets } from '../../../src/models';
import { withBackend } from '../../backend';
import { withProgress } from '../../cli';
import { command } from '../../command';
import { aliasText } from '../text';

export default command({
  about: 'Give models another name: clients ask for it, and the first that can answers.',
  args: {
    name: { type: 'positional', required: true, description: 'What clients ask for.' },
    targets: {
      type: 'positional',
      required: true,
      description:
        'Models in the order they are tried, divided by commas. Models divided by | share a place, by =weight.',
    },
  },
  takesRest: true,
  examples: [
    'flm models alias set fast "flm://ollama-default/llama3.2, qwen2.5:3b"',
    'flm models alias set balanced "flm://a/m=3 | flm://b/m=1, llama3.2"',
  ],
  async run({ cli, args, rest }) {
    const places = parseTargets(oneText([args.targets, ...rest])).map((place) => [...place]);
    const alias = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, (backend) => backend.models.setAlias({ name: args.name, places })),
    );
    cli.result(alias, () => aliasText(alias));
  },
});

/** Targets as one text, also where a list was not quoted. @throws USAGE_ERROR where a comma is missing between words */
export function oneText(words: readonly string[]): string {
  const bare = words.findIndex((word, index) => {
    const next = words[index + 1];
    return next !== undefined && !/[,|=]\s*$/.test(word) && !/^\s*[,|=]/.test(next);
  });
  if (bare === -1) return words.join(' ');
  const fixed = words.map((word, index) => (index === bare ? `${word},` : word)).join(' ');
  throw new FlmError('USAGE_ERROR', {
    meta: { reason: `Nothing stands between "${words[bare]}" and "${words[bare + 1]}"` },
    hint: `Targets are one word, divided by commas. Quote them: "${fixed}"`,
  });
}
