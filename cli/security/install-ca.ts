/** `flm security install-ca` */
import { fingerprintOf, installRoots } from '../../certs';
import { withBackend } from '../backend';
import { type Cli, withProgress } from '../cli';
import { command } from '../command';
import { asFile, CERT_PATH_ARG, fromFile, trustMachine } from './trust/machine';
import { reportText } from './trust/text';

export default command({
  about:
    'Let this machine trust the root of this installation: the system and the browsers of whoever runs it.',
  args: CERT_PATH_ARG,
  details: [
    'One line for each store of roots; what goes wrong with one stops none of the',
    'others. The store of the system takes root: its line says how. After a rotation,',
    'run it again. Restart browsers that are open.',
  ],
  examples: ['flm security install-ca', 'flm security install-ca --cert-path flm-ca.pem'],
  async run({ cli, args }) {
    const { root, ended } = await rootsFor(cli, args['cert-path']);
    const machine = trustMachine(cli, 'install-ca', root.file);
    const stores = await withProgress(cli, 'Installing', () => installRoots(machine, root, ended));
    cli.result(
      { common_name: root.commonName, fingerprint: fingerprintOf(root.id), file: root.file, stores },
      () => [`"${root.commonName}"`, reportText(stores)].join('\n'),
    );
    if (stores.some(({ result }) => result === 'failed')) cli.fail(1);
  },
});

/** The root to trust, and those before it that nothing is signed with any more. */
async function rootsFor(cli: Cli, path: string | undefined) {
  if (path !== undefined) return { root: fromFile(path), ended: [] };
  return withBackend(cli, async ({ certs }) => {
    const current = await certs.createCa({});
    const { roots } = await certs.status();
    const ended = roots.filter(({ mode, status }) => mode === 'packaged-ca' && status === 'ended');
    return { root: asFile(cli, current), ended: ended.map((root) => asFile(cli, root)) };
  });
}
