/** `flm security ca export` */
import { chmodSync } from 'node:fs';
import { contentOf, type FileKind, qrText, type RootView } from '../../../certs';
import { FlmError } from '../../../src/lib/errors';
import { writeFileAtomic } from '../../../src/lib/files';
import { withBackend } from '../../backend';
import type { Cli } from '../../cli';
import { command } from '../../command';
import { requireNew } from '../../export';
import { MODE_ARG, modeFrom } from './mode';

const KINDS = ['pem', 'der', 'mobileconfig'] as const satisfies readonly FileKind[];

export default command({
  about:
    'Write the root, for devices that have to trust it. It holds no key. Where there is none yet, it is made.',
  args: {
    as: {
      type: 'enum',
      options: [...KINDS],
      description:
        'What devices take: pem, der (Windows, Android), mobileconfig (iPhone, iPad). Default: pem.',
    },
    output: { type: 'string', valueHint: 'file', description: 'A new file. Default for pem: stdout.' },
    ...MODE_ARG,
  },
  details: ['The fingerprint is shown with it: compare it on the device before you trust the', 'root there.'],
  examples: [
    'flm security ca export --output flm-ca.pem',
    'flm security ca export --as mobileconfig --output flm-ca.mobileconfig',
  ],
  async run({ cli, args }) {
    const kind = KINDS.find((known) => known === args.as) ?? 'pem';
    if (args.output === undefined && kind !== 'pem')
      throw new FlmError('USAGE_ERROR', { meta: { reason: `--as ${kind} needs --output` } });
    if (args.output !== undefined) requireNew(args.output);
    const root = await withBackend(cli, ({ certs }) => certs.createCa({ mode: modeFrom(args.mode) }));
    if (args.output === undefined) {
      cli.result(root, () => root.certificate_pem.trimEnd());
      return;
    }
    write(args.output, contentOf(kind, root));
    const result = { file: args.output, as: kind, fingerprint: root.fingerprint };
    cli.result(result, () => writtenText(root, result.file, cli));
  },
});

function write(path: string, content: string | Uint8Array): void {
  writeFileAtomic(path, content);
  // It is to be handed out: nothing in it is secret.
  chmodSync(path, 0o644);
}

function writtenText({ fingerprint, common_name: name }: RootView, file: string, { watched }: Cli): string {
  const lines = [`Written: ${file}, "${name}".`, `Fingerprint (SHA-256): ${fingerprint}`];
  return (watched ? [...lines, '', qrText(fingerprint)] : lines).join('\n');
}
