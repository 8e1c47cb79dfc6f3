/** `flm security ca status` */
import { type CaStatus, qrText, type RootView } from '../../../certs';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { columns } from '../../table';
import { localTime } from '../../time';

export default command({
  about: 'The roots of this installation: fingerprints, dates, and what they may vouch for.',
  args: { qr: { type: 'boolean', description: 'Show the fingerprint as a QR code, too.' } },
  examples: ['flm security ca status', 'flm security ca status --qr'],
  async run({ cli, args }) {
    const status = await withBackend(cli, ({ certs }) => certs.status());
    cli.result(status, () => textOf(status, args.qr === true));
  },
});

function textOf({ roots, names, names_outside: outside }: CaStatus, withQr: boolean): string {
  if (roots.length === 0) return 'There is no root yet. Make one and trust it here: flm security install-ca';
  return [
    ...roots.map((root) => rootText(root, withQr)),
    columns([
      ['Covers here', names.join(', ')],
      ...(outside.length === 0 ? [] : [['Not covered', outside.join(', ')] as const]),
    ]),
  ].join('\n\n');
}

function rootText(root: RootView, withQr: boolean): string {
  const lines = columns([
    ['For', root.mode],
    ['Status', statusText(root)],
    ['SHA-256', root.fingerprint],
    ['SHA-1', root.fingerprint_sha1],
    ['Good until', localTime(root.expires_at)],
    ['May vouch for', root.permitted_names.join(', ')],
  ]);
  const code = withQr && root.status === 'current' ? `\n\n${qrText(root.fingerprint)}` : '';
  return `${root.common_name}\n${lines}${code}`;
}

function statusText({ status, served_until: until }: RootView): string {
  if (status === 'ending' && until !== null)
    return `replaced; who trusts only this one is served until ${localTime(until)}`;
  return status === 'current' ? 'in use' : 'ended';
}
