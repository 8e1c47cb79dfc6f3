/** `flm security audit-logs export` */
import { EXPORT_FORMATS } from '../../../src/audit';
import { writePiecesAtomic } from '../../../src/lib/files';
import { withBackend } from '../../backend';
import { type Cli, OUTPUT_VERSION } from '../../cli';
import { command } from '../../command';
import { isReaderGone, outputFailed } from '../../output';
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
      description: 'A file that only you can read. Default: stdout.',
    },
  },
  examples: [
    'flm security audit-logs export --output audit.json',
    'flm security audit-logs export --format csv --since 30d --output audit.csv',
  ],
  async run({ cli, args }) {
    const filter = filterFrom(args, cli);
    const format = EXPORT_FORMATS.find((known) => known === args.format) ?? 'json';
    await withBackend(cli, async ({ audit }) => {
      const pieces = await audit.export(filter, format);
      if (args.output === undefined) {
        await writeOut(cli, format === 'json' ? enveloped(pieces) : pieces);
        return;
      }
      const bytes = await writePiecesAtomic(args.output, pieces);
      const result = { file: args.output, format, bytes };
      cli.result(result, () => `Written: ${result.file}, ${count(bytes, 'byte')}.`);
    });
  },
});

/** Piece by piece: the next one is made when this one has left. @throws OUTPUT_FAILED */
async function writeOut(cli: Cli, pieces: AsyncIterable<string>): Promise<void> {
  for await (const piece of pieces) {
    cli.write(piece);
    const lost = await cli.delivered();
    if (lost === null) continue;
    if (isReaderGone(lost)) return;
    throw outputFailed(lost);
  }
}

/** The shape of all JSON that commands print. */
async function* enveloped(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  yield `{"version":"${OUTPUT_VERSION}","data":`;
  yield* pieces;
  yield '}\n';
}
