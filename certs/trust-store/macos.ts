/** The keychains of macOS: root changes that of the system, anybody else their own. */
import { join } from 'node:path';
import { runOrThrow, type TrustMachine, type TrustRoot, type TrustStore } from './machine';

/** The keychain of the system for root, the user's own for anybody else. */
export function keychainStore(machine: TrustMachine): TrustStore {
  const { uid, home } = machine;
  const isSystem = uid === 0;
  const keychain = isSystem
    ? '/Library/Keychains/System.keychain'
    : join(home, 'Library/Keychains/login.keychain-db');
  const domain = isSystem ? ['-d'] : [];
  async function has({ id }: TrustRoot): Promise<boolean> {
    const { code, output } = await machine.run(['security', 'find-certificate', '-a', '-Z', keychain]);
    return code === 0 && output.toLowerCase().includes(`sha-256 hash: ${id}`);
  }
  return {
    name: isSystem ? 'system keychain' : 'login keychain',
    path: keychain,

    has,

    async add({ file }) {
      // For servers only, and nothing else that a root can be trusted with.
      const what = ['-r', 'trustRoot', '-p', 'ssl', '-k', keychain, file];
      await runOrThrow(machine, ['security', 'add-trusted-cert', ...domain, ...what]);
    },

    async remove(root) {
      if (!(await has(root))) return false;
      const { sha1, file } = root;
      await machine.run(['security', 'remove-trusted-cert', ...domain, file]);
      await runOrThrow(machine, ['security', 'delete-certificate', '-Z', sha1, keychain]);
      return true;
    },
  };
}
