/** `flm activity export` */
import { EXPORT_FORMATS } from '../../src/activity';
import { withBackend } from '../backend';
import { command } from '../command';
import { requireNew, writeNewFile, writeOut } from '../export';
import { count } from '../words';
import { FILTER_ARGS, filterOf } from './filter';

export default command({
  about: 'Write requests to stdout or a file, oldest first: a JSON object a line, or CSV.',
  args: {
    ...FILTER_ARGS,
    format: {
      type: 'enum',
      options: [...EXPORT_FORMATS],
      description: 'As json, an object a line, or csv, with a header. Default: json.',
    },
    output: {
      type: 'string',
      valueHint: 'file',
      description: 'A new file that only you can read. Default: stdout.',
    },
  },
  examples: [
    'flm activity export --since 7d > requests.jsonl',
    'flm activity export --format csv --output requests.csv',
  ],
  async run({ cli, args }) {
    const filter = filterOf(cli, args);
    const format = EXPORT_FORMATS.find((known) => known === args.format) ?? 'json';
    if (args.output !== undefined) requireNew(args.output);
    await withBackend(cli, async ({ activity }) => {
      const pieces = activity.export(filter, format);
      if (args.output === undefined) {
        await writeOut(cli, pieces);
        return;
      }
      const bytes = await writeNewFile(args.output, pieces);
      const result = { file: args.output, format, bytes };
      cli.result(result, () => `Written: ${result.file}, ${count(bytes, 'byte')}.`);
    });
  },
});
