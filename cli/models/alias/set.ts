/** `flm models alias set` */
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
  examples: [
    'flm models alias set fast "flm://ollama-default/llama3.2, qwen2.5:3b"',
    'flm models alias set balanced "flm://a/m=3 | flm://b/m=1, llama3.2"',
  ],
  async run({ cli, args }) {
    const places = parseTargets(args.targets).map((place) => [...place]);
    const alias = await withProgress(cli, 'Asking the engines', () =>
      withBackend(cli, (backend) => backend.models.setAlias({ name: args.name, places })),
    );
    cli.result(alias, () => aliasText(alias));
  },
});
