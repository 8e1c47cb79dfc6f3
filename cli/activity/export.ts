/** `flm activity export` */
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { EXPORT_FORMATS } from '../../src/activity';
import { FlmError, reasonOf } from '../../src/lib/errors';
import { withBackend } from '../backend';
import { command } from '../command';
import { FILTER_ARGS, filterOf } from './filter';

export default command({
  about: 'Write requests to stdout or a file, oldest first: a JSON object a line, or CSV.',
  args: {
    as: {
      type: 'string',
      valueHint: EXPORT_FORMATS.join('|'),
      description: 'As json, an object a line, or csv, with a header. Default: json.',
    },
    output: {
      type: 'string',
      valueHint: 'file',
      description: 'A file to make, which only you can read. One that is there is not touched.',
    },
    ...FILTER_ARGS,
  },
  examples: [
    'flm activity export --since 7d > requests.jsonl',
    'flm activity export --as csv --output requests.csv',
  ],
  async run({ cli, args }) {
    const as = EXPORT_FORMATS.find((known) => known === (args.as ?? 'json'));
    if (as === undefined) {
      const reason = `"${args.as}" is none of ${EXPORT_FORMATS.join(', ')}`;
      throw new FlmError('INVALID_INPUT', { meta: { field: '--as', reason } });
    }
    const filter = filterOf(cli, args);
    const sink = args.output === undefined ? cliSink(cli.write, cli.delivered) : fileSink(args.output);
    try {
      await withBackend(cli, async (backend) => {
        for await (const text of backend.activity.export(filter, as)) await sink.write(text);
      });
    } finally {
      sink.close();
    }
    if (args.output !== undefined)
      cli.result({ output: args.output }, () => `The requests are in ${args.output}.`);
  },
});

interface Sink {
  write(text: string): Promise<void>;
  close(): void;
}

/** Waits until the reader has taken a piece: the whole of it may not fit into memory. */
function cliSink(write: (text: string) => void, delivered: () => Promise<Error | null>): Sink {
  return {
    async write(text) {
      write(text);
      const failure = await delivered();
      if (failure !== null) throw failure;
    },
    close() {},
  };
}

/** @throws IO_ERROR, also when the file is there */
function fileSink(path: string): Sink {
  const failed = (error: unknown) =>
    new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  const guard = <Result>(work: () => Result): Result => {
    try {
      return work();
    } catch (error) {
      throw failed(error);
    }
  };
  const file = guard(() => openSync(path, 'wx', 0o600));
  return {
    write: async (text) => guard(() => writeFileSync(file, text)),
    close: () =>
      guard(() => {
        fsyncSync(file);
        closeSync(file);
      }),
  };
}
