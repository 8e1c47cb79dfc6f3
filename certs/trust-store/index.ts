/**
 * Who trusts the root of this installation: the stores of the operating system and of browsers, each by itself. What goes
 * wrong with one is told and stops none of the others; doing it twice does nothing more; and only what FLM has put into a
 * store is taken out of it.
 */
import type { X509Certificate } from 'node:crypto';
import { FlmError, reasonOf } from '../../src/lib/errors';
import { commonNameOf, idOf, pemBlocks, readCertificate } from '../certificate';
import { systemStore } from './linux';
import type { ClosedStore, StoreReport, TrustMachine, TrustRoot, TrustStore } from './machine';
import { keychainStore } from './macos';
import { nssStores } from './nss';
import { windowsStore } from './windows';

export type { StoreReport, TrustMachine, TrustRoot } from './machine';

/** Lets every store trust `root`, and takes out those that have ended. One report for each store. */
export function installRoots(
  machine: TrustMachine,
  root: TrustRoot,
  ended: readonly TrustRoot[],
): Promise<readonly StoreReport[]> {
  return each(storesOf(machine, true), async (store) => {
    for (const old of ended) if (await store.has(old)) await store.remove(old);
    if (await store.has(root)) return 'present';
    await store.add(root);
    return 'added';
  });
}

/** Whether the system's own store trusts `root`; null where FLM cannot say. Browsers' databases are not asked. */
export async function isTrustedBySystem(machine: TrustMachine, root: TrustRoot): Promise<boolean | null> {
  const [store] = storesOf(machine, false);
  return store === undefined || 'reason' in store ? null : store.has(root);
}

/** Takes the roots out of every store. One report for each store. */
export function uninstallRoots(
  machine: TrustMachine,
  roots: readonly TrustRoot[],
): Promise<readonly StoreReport[]> {
  return each(storesOf(machine, false), async (store) => {
    let result: StoreReport['result'] = 'absent';
    for (const root of roots) {
      if (await store.remove(root)) result = 'removed';
    }
    return result;
  });
}

/**
 * A root as stores want it, from its PEM, which lies in `file`.
 * @throws CA_FILE_INVALID
 */
export function trustRootOf(pem: string, file: string): TrustRoot {
  const [block, more] = pemBlocks(pem);
  if (block?.label !== 'CERTIFICATE' || more !== undefined)
    throw new FlmError('CA_FILE_INVALID', {
      meta: { path: file, reason: 'it takes one certificate in PEM' },
    });
  const certificate = readRoot(block.pem, file);
  if (!certificate.ca)
    throw new FlmError('CA_FILE_INVALID', { meta: { path: file, reason: 'it is no authority' } });
  return {
    id: idOf(certificate.raw),
    sha1: certificate.fingerprint.replaceAll(':', ''),
    commonName: commonNameOf(certificate),
    certificate: certificate.raw,
    file,
  };
}

function readRoot(pem: string, path: string): X509Certificate {
  try {
    return readCertificate(pem);
  } catch (error) {
    throw new FlmError('CA_FILE_INVALID', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}

/** One after the other: some of their programs lock files that they share. */
async function each(
  stores: readonly (TrustStore | ClosedStore)[],
  act: (store: TrustStore) => Promise<StoreReport['result']>,
): Promise<readonly StoreReport[]> {
  const reports: StoreReport[] = [];
  for (const store of stores) {
    const { name, path } = store;
    if ('reason' in store) {
      reports.push({ store: name, path, result: store.result, message: store.reason });
      continue;
    }
    try {
      reports.push({ store: name, path, result: await act(store), message: null });
    } catch (error) {
      reports.push({ store: name, path, result: 'failed', message: reasonOf(error) });
    }
  }
  return reports;
}

function storesOf(machine: TrustMachine, mayMake: boolean): readonly (TrustStore | ClosedStore)[] {
  switch (machine.platform) {
    case 'darwin':
      return [keychainStore(machine)];
    case 'win32':
      return [windowsStore(machine)];
    default:
      return [systemStore(machine), ...nssStores(machine, mayMake)];
  }
}
