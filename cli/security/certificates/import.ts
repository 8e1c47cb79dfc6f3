/** `flm security certificates import` */
import { closeSync, openSync, readSync } from 'node:fs';
import { type GivenFile, unlock } from '../../../certs';
import { FlmError, reasonOf } from '../../../src/lib/errors';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { readPassword } from '../../password';
import { localTime } from '../../time';

export default command({
  about: 'Bring a certificate of your own. It is shown to clients that ask for one of its names.',
  args: {
    file: {
      type: 'positional',
      required: false,
      description: 'PKCS#12 (.p12, .pfx), or what --cert takes.',
    },
    cert: {
      type: 'string',
      valueHint: 'file',
      description: 'The certificate and those between it and its root, as PEM.',
    },
    key: {
      type: 'string',
      valueHint: 'file',
      description: 'Its private key, as PEM. Default: it is in the same file.',
    },
    'password-env': {
      type: 'string',
      valueHint: 'NAME',
      description:
        'Environment variable with the password of an encrypted key or of PKCS#12. Default: asked for, or read from stdin.',
    },
  },
  details: [
    'FLM keeps a copy of both in its encrypted database, and no password. It checks',
    'that they belong together, the chain, the dates, the names and the key.',
  ],
  examples: [
    'flm security certificates import --cert fullchain.pem --key privkey.pem',
    'flm security certificates import llm.p12',
    'pass show llm | flm security certificates import llm.p12',
  ],
  async run({ cli, args }) {
    const path = args.cert ?? args.file;
    if (path === undefined || (args.cert !== undefined && args.file !== undefined))
      throw new FlmError('USAGE_ERROR', { meta: { reason: 'it takes one file with a certificate' } });
    const input = await unlock(
      readGiven(path, '--cert'),
      args.key === undefined ? null : readGiven(args.key, '--key'),
      () => readPassword(cli, args['password-env'], { mayBeEmpty: true }),
    );
    const view = await withBackend(cli, ({ certs }) => certs.import(input));
    cli.result(
      view,
      () =>
        `The certificate of ${view.names.join(', ')} is in use, until ${localTime(view.expires_at)}. Its id is ${view.id.slice(0, 16)}.`,
    );
  },
});

/** Ten certificates with long keys have 30 kB. */
const MAX_BYTES = 1_000_000;

/** A pipe is as good as a file: `<(...)` leaves no key lying around. @throws INVALID_INPUT */
function readGiven(path: string, field: string): GivenFile {
  const buffer = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  try {
    const file = openSync(path, 'r');
    try {
      for (let read = -1; read !== 0 && length < buffer.length; length += read)
        read = readSync(file, buffer, length, buffer.length - length, null);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new FlmError('INVALID_INPUT', { meta: { field, reason: reasonOf(error) }, cause: error });
  }
  if (length > MAX_BYTES)
    throw new FlmError('INVALID_INPUT', { meta: { field, reason: `${path} has more than 1 MB` } });
  return { path, bytes: buffer.subarray(0, length) };
}
