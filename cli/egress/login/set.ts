/** `flm egress login set` */
import { FlmError } from '../../../src/lib/errors';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { readPassword } from '../../password';
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

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
