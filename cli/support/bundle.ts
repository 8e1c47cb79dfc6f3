/** `flm support bundle` */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { FlmError } from '../../src/lib/errors';
import { writeFileAtomic } from '../../src/lib/files';
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { count } from '../words';

export default command({
  about: 'Collect what helps somebody else to find out what is wrong, without keys, prompts and addresses.',
  args: {
    output: {
      type: 'string',
      valueHint: 'FILE',
      description:
        'Where to put it. Default: flm-support-<time>.tar.gz here. A file that is there is left alone.',
    },
  },
  examples: [
    'flm support bundle',
    'flm support bundle --output /tmp/flm.tar.gz',
    'flm support bundle --json',
  ],
  async run({ cli, args }) {
    const time = new Date(cli.clock.nowMs()).toISOString().slice(0, 19).replaceAll(':', '-');
    const path = resolve(args.output ?? `flm-support-${time}.tar.gz`);
    if (existsSync(path)) {
      const reason = 'there is a file of that name already';
      throw new FlmError('INVALID_INPUT', { meta: { field: '--output', reason } });
    }
    const { files } = await withProgress(cli, 'Collecting', () =>
      withBackend(cli, (backend) => backend.support()),
    );
    await writeArchive(path, files);
    const names = files.map(({ name }) => name);
    cli.result({ path, files: names }, () =>
      [...names, '', `${path}: ${count(names.length, 'file')}. Read it before you give it to somebody.`].join(
        '\n',
      ),
    );
  },
});

async function writeArchive(
  path: string,
  files: readonly { readonly name: string; readonly text: string }[],
): Promise<void> {
  const archive = new Bun.Archive(
    Object.fromEntries(files.map(({ name, text }) => [`flm-support/${name}`, text])),
    { compress: 'gzip' },
  );
  writeFileAtomic(path, await archive.bytes());
}
