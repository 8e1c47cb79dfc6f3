/** `flm security audit-logs export` */
import { EXPORT_FORMATS } from '../../../src/audit';
import { withBackend } from '../../backend';
import { OUTPUT_VERSION } from '../../cli';
import { command } from '../../command';
import { requireNew, writeNewFile, writeOut } from '../../export';
import { count } from '../../words';
import { FILTER_ARGS, filterFrom } from './filter';

export default command({
  about: 'Write all rows that match as JSON or CSV, the oldest first. That is put on record, too.',
  args: {
    ...FILTER_ARGS,
    format: { type: 'enum', options: [...EXPORT_FORMATS], description: 'How to write them. Default: json.' },
    output: {
      type: 'string',
      valueHint: 'file',
      description: 'A new file that only you can read. Default: stdout.',
    },
  },
  examples: [
    'flm security audit-logs export --output audit.json',
    'flm security audit-logs export --format csv --since 30d --output audit.csv',
  ],
  async run({ cli, args }) {
    const filter = filterFrom(args, cli);
    const format = EXPORT_FORMATS.find((known) => known === args.format) ?? 'json';
    // Before it is put on record that something was exported.
    if (args.output !== undefined) requireNew(args.output);
    await withBackend(cli, async ({ audit }) => {
      const pieces = await audit.export(filter, format);
      if (args.output === undefined) {
        await writeOut(cli, format === 'json' ? enveloped(pieces) : pieces);
        return;
      }
      const bytes = await writeNewFile(args.output, pieces);
      const result = { file: args.output, format, bytes };
      cli.result(result, () => `Written: ${result.file}, ${count(bytes, 'byte')}.`);
    });
  },
});

/** The shape of all JSON that commands print. */
async function* enveloped(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  yield `{"version":"${OUTPUT_VERSION}","data":`;
  yield* pieces;
  yield '}\n';
}
