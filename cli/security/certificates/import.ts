/** `flm security certificates import` */
import { readFileSync } from 'node:fs';
import { FlmError, reasonOf } from '../../../src/lib/errors';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { localTime } from '../../time';

export default command({
  about: 'Bring a certificate of your own. It is shown to clients that ask for one of its names.',
  args: {
    cert: {
      type: 'string',
      required: true,
      valueHint: 'file',
      description: 'The certificate and those between it and its root, as PEM.',
    },
    key: {
      type: 'string',
      valueHint: 'file',
      description: 'Its private key, as PEM, not encrypted. Default: it is in the same file.',
    },
  },
  details: [
    'FLM keeps a copy of both in its encrypted database. It checks that they belong',
    'together, the chain, the dates, the names and the strength of the key.',
  ],
  examples: [
    'flm security certificates import --cert fullchain.pem --key privkey.pem',
    'flm security certificates import --cert bundle.pem',
  ],
  async run({ cli, args }) {
    const certificate = readPem(args.cert, '--cert');
    const key = args.key === undefined ? certificate : readPem(args.key, '--key');
    const view = await withBackend(cli, ({ certs }) =>
      certs.import({ certificate_pem: certificate, private_key_pem: key }),
    );
    cli.result(
      view,
      () =>
        `The certificate of ${view.names.join(', ')} is in use, until ${localTime(view.expires_at)}. Its id is ${view.id.slice(0, 16)}.`,
    );
  },
});

/** @throws INVALID_INPUT */
function readPem(path: string, field: string): string {
  const bytes = readBytes(path, field);
  const text = bytes.toString('latin1');
  if (text.includes('-----BEGIN ')) return text;
  // A SEQUENCE: DER, or what Windows and Java export.
  const isBinary = bytes[0] === 0x30;
  throw new FlmError('INVALID_INPUT', {
    meta: { field, reason: `${path} is not PEM` },
    ...(isBinary
      ? { hint: `For PKCS#12 (.p12, .pfx): openssl pkcs12 -in ${path} -nodes -out bundle.pem` }
      : {}),
  });
}

function readBytes(path: string, field: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new FlmError('INVALID_INPUT', { meta: { field, reason: reasonOf(error) }, cause: error });
  }
}
