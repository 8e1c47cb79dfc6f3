/** `flm egress login set` */
import { password as askPassword, isCancel } from '@clack/prompts';
import { FlmError } from '../../../src/lib/errors';
import { withBackend } from '../../backend';
import type { Cli } from '../../cli';
import { command } from '../../command';
import { egressText } from '../text';

export default command({
  about:
    "Keep the user name and the password for the SOCKS5 server, or the password of tor's control port, encrypted.",
  args: {
    user: { type: 'string', valueHint: 'NAME', description: 'The user name for the SOCKS5 server.' },
    'tor-control': {
      type: 'boolean',
      description: "The password is that of tor's control port, for onion services; a cookie needs none.",
    },
    'password-env': {
      type: 'string',
      valueHint: 'NAME',
      description: 'Environment variable that holds the password. Default: asked for, or read from stdin.',
    },
  },
  examples: [
    'flm egress login set --user me',
    'SOCKS_PASSWORD=... flm egress login set --user me --password-env SOCKS_PASSWORD',
    'pass show socks | flm egress login set --user me',
    'flm egress login set --tor-control',
  ],
  details: ['Tor itself asks nobody who they are: its SOCKS port needs no login.'],
  async run({ cli, args }) {
    const isTorControl = args['tor-control'] === true;
    if (isTorControl === (args.user !== undefined))
      throw invalid('--user', 'say either --user or --tor-control');
    const password = await readPassword(cli, args['password-env']);
    const status = await withBackend(cli, (backend) =>
      backend.wayOut.setLogin(
        args.user === undefined ? { password, tor_control: true } : { user: args.user, password },
      ),
    );
    cli.result(status, () => egressText(status));
  },
});

/** Never from an argument: other users of this machine can read those. */
async function readPassword(cli: Cli, variable: string | undefined): Promise<string> {
  if (variable !== undefined) {
    const value = cli.env[variable];
    if (value) return value;
    throw invalid('--password-env', `the environment variable ${variable} is not set`);
  }
  const piped = (await cli.readStdin())?.replace(/\r?\n$/, '') ?? null;
  if (piped !== null && piped !== '') return piped;
  if (!cli.interactive)
    throw invalid('password', 'give it on stdin, or name its variable with --password-env');
  const typed = await askPassword({ message: 'Password:', signal: cli.interrupted });
  if (isCancel(typed)) throw invalid('password', 'none was given');
  if (typed) return typed;
  throw invalid('password', 'it is empty');
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
