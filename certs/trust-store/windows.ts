/** The roots of the current user in Windows, by its own certutil: no administrator is needed, and Windows asks the person. */
import { runOrThrow, type TrustMachine, type TrustRoot, type TrustStore } from './machine';

/** The roots of the current user. */
export function windowsStore(machine: TrustMachine): TrustStore {
  const certutil = (...words: readonly string[]) => ['certutil.exe', '-user', ...words];
  const has = async ({ sha1 }: TrustRoot) => (await machine.run(certutil('-store', 'Root', sha1))).code === 0;
  return {
    name: 'Windows (current user)',
    path: 'Cert:\\CurrentUser\\Root',
    has,
    add: async ({ file }) => void (await runOrThrow(machine, certutil('-addstore', 'Root', file))),
    async remove(root) {
      if (!(await has(root))) return false;
      await runOrThrow(machine, certutil('-delstore', 'Root', root.sha1));
      return true;
    },
  };
}
