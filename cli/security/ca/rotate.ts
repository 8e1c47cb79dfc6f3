/** `flm security ca rotate` */
import { RotateCaInput } from '../../../certs';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { DURATION, parseDuration } from '../../duration';
import { localTime } from '../../time';
import { MODE_ARG, modeFrom } from './mode';

export default command({
  about: 'Put a new root in place of the one that signs. For a while, who trusts either of them is served.',
  args: {
    overlap: {
      type: 'string',
      valueHint: '30d',
      description: `How long who trusts only the old root is served: ${DURATION}, at most 90d. 0s: not at all. Default: 30d.`,
    },
    ...MODE_ARG,
  },
  details: [
    'The new root vouches for the names that this machine has now and for those of',
    'certs.names. The key of the old one is deleted at once: nobody can sign with it',
    'any more. Then let every device trust the new root, this one with',
    '"flm security install-ca". If a key may have been stolen: --overlap 0s.',
  ],
  examples: ['flm security ca rotate', 'flm security ca rotate --overlap 14d'],
  async run({ cli, args }) {
    const overlap =
      args.overlap === undefined
        ? {}
        : { overlap_s: parseDuration('--overlap', args.overlap, RotateCaInput.properties.overlap_s) };
    const mode = modeFrom(args.mode);
    const { root, old } = await withBackend(cli, async ({ certs }) => {
      const made = await certs.rotateCa({ mode, ...overlap });
      const { roots } = await certs.status();
      return { root: made, old: roots.find((known) => known.mode === mode && known.status === 'ending') };
    });
    const until = old?.served_until ?? null;
    cli.result({ ...root, old_root_served_until: until }, () =>
      [
        `"${root.common_name}" signs from now on.`,
        `Fingerprint (SHA-256): ${root.fingerprint}`,
        until === null
          ? 'Who trusts only the old root is not served any more.'
          : `Who trusts only the old root is served until ${localTime(until)}.`,
        'Trust it on this machine: flm security install-ca',
      ].join('\n'),
    );
  },
});
