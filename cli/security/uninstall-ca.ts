/** `flm security uninstall-ca` */
import { confirm, isCancel } from '@clack/prompts';
import { uninstallRoots } from '../../certs';
import { FlmError } from '../../src/lib/errors';
import { withBackend } from '../backend';
import { type Cli, withProgress } from '../cli';
import { command } from '../command';
import { asFile, CERT_PATH_ARG, fromFile, trustMachine } from './trust/machine';
import { reportText } from './trust/text';

export default command({
  about: 'Take the roots of this installation out of every store of this machine.',
  args: {
    ...CERT_PATH_ARG,
    yes: { type: 'boolean', description: 'Do not ask.' },
  },
  details: ['The root itself stays: install-ca lets this machine trust it again.'],
  examples: ['flm security uninstall-ca', 'flm security uninstall-ca --yes --json'],
  async run({ cli, args }) {
    const path = args['cert-path'];
    const roots = path === undefined ? await rootsOf(cli) : [fromFile(path)];
    const [newest] = roots;
    if (newest === undefined) throw new FlmError('CA_NOT_FOUND', { meta: { mode: 'packaged-ca' } });
    if (cli.interactive && args.yes !== true && !(await isWanted(newest.commonName))) {
      cli.note('Nothing was changed.');
      return;
    }
    const machine = trustMachine(cli, 'uninstall-ca', newest.file);
    const stores = await withProgress(cli, 'Removing', () => uninstallRoots(machine, roots));
    cli.result({ stores }, () => reportText(stores));
    if (stores.some(({ result }) => result === 'failed')) cli.fail(1);
  },
});

async function rootsOf(cli: Cli) {
  const { roots } = await withBackend(cli, ({ certs }) => certs.status());
  return roots.filter(({ mode }) => mode === 'packaged-ca').map((root) => asFile(cli, root));
}

async function isWanted(name: string): Promise<boolean> {
  const answer = await confirm({ message: `Shall this machine no longer trust "${name}"?` });
  return !isCancel(answer) && answer;
}
