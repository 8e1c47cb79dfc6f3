/** The system stores of Linux: a folder for roots of one's own, and a program that makes bundles of it (FLM-096, C20). */
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { FlmError, reasonOf } from '../../src/lib/errors';
import { writeFileAtomic } from '../../src/lib/files';
import { pemBlocks, pemOf } from '../certificate';
import { type ClosedStore, runOrThrow, type TrustMachine, type TrustRoot, type TrustStore } from './machine';

interface Layout {
  readonly name: string;
  /** Where roots are put. */
  readonly anchors: string;
  /** What programs read, made of it. */
  readonly bundle: string;
  readonly update: readonly [string, ...string[]];
  /** Where the program leaves links to files that were taken out, and programs that it would have to tell of that. */
  readonly leavings?: { readonly links: string; readonly hooks: string };
}

/** The first whose folder and program are there is the one. */
const LAYOUTS: readonly Layout[] = [
  {
    name: 'system (Fedora)',
    anchors: 'etc/pki/ca-trust/source/anchors',
    bundle: 'etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
    update: ['update-ca-trust', 'extract'],
  },
  {
    name: 'system (Arch)',
    anchors: 'etc/ca-certificates/trust-source/anchors',
    bundle: 'etc/ca-certificates/extracted/tls-ca-bundle.pem',
    update: ['trust', 'extract-compat'],
  },
  {
    name: 'system (openSUSE)',
    anchors: 'etc/pki/trust/anchors',
    bundle: 'var/lib/ca-certificates/ca-bundle.pem',
    update: ['update-ca-certificates'],
  },
  {
    name: 'system (Debian)',
    anchors: 'usr/local/share/ca-certificates',
    bundle: 'etc/ssl/certs/ca-certificates.crt',
    update: ['update-ca-certificates'],
    // With --fresh the links would go, those that the owner has laid with them, and Java would not be told.
    leavings: { links: 'etc/ssl/certs', hooks: 'etc/ca-certificates/update.d' },
  },
];

/** The store of the system that is found, or why there is none. */
export function systemStore(machine: TrustMachine): TrustStore | ClosedStore {
  const at = (path: string) => join(machine.root, path);
  const layout = LAYOUTS.find(({ anchors, update }) => existsSync(at(anchors)) && machine.has(update[0]));
  if (layout === undefined)
    return {
      name: 'system',
      path: '',
      result: 'skipped',
      reason: 'this system keeps its roots where FLM does not know; import the file by hand',
    };
  const { name, update, leavings } = layout;
  const folder = at(layout.anchors);
  const fileOf = ({ id }: TrustRoot) => join(folder, `flm-local-ca-${id.slice(0, 16)}.crt`);

  /** Takes the file out, and all that was made of it. */
  async function forget(root: TrustRoot): Promise<void> {
    rmSync(fileOf(root), { force: true });
    const link = `${basename(fileOf(root), '.crt')}.pem`;
    const hadLinks = leavings !== undefined && removeLinks(at(leavings.links), link);
    await runOrThrow(machine, update);
    if (leavings === undefined || !hadLinks) return;
    for (const hook of hooksIn(at(leavings.hooks)))
      await runOrThrow(machine, [hook], `-${join(at(leavings.links), link)}\n`);
  }

  const isInBundle = (root: TrustRoot) => holds(at(layout.bundle), root);
  return {
    name,
    path: folder,

    // Both: a file that nobody has made bundles of is trusted by nobody.
    has: async (root) => holds(fileOf(root), root) && isInBundle(root),

    async add(root) {
      requireWritable(machine, folder);
      writePublic(fileOf(root), pemOf('CERTIFICATE', root.certificate));
      try {
        await runOrThrow(machine, update);
        if (!isInBundle(root)) throw new Error(`${update.join(' ')} ran, and has not taken the root`);
      } catch (error) {
        // What does not work must not lie around, to be taken by the next update of something else.
        await forget(root).catch(() => {});
        throw error;
      }
    },

    async remove(root) {
      if (!existsSync(fileOf(root)) && !isInBundle(root)) return false;
      requireWritable(machine, folder);
      await forget(root);
      if (isInBundle(root)) throw new Error('it was put there in another way, too; FLM removes only its own');
      return true;
    },
  };
}

/** Removes the link of that name in `folder`, and those that lead to it by its hash. False when it was not there. */
function removeLinks(folder: string, name: string): boolean {
  if (!existsSync(folder)) return false;
  const links = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isSymbolicLink())
    .map((entry) => entry.name)
    .filter((entry) => entry === name || readlinkSync(join(folder, entry)) === name);
  for (const link of links) rmSync(join(folder, link), { force: true });
  return links.includes(name);
}

/** The programs that update-ca-certificates runs at its end, by the names that run-parts(8) takes. */
function hooksIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^[a-zA-Z0-9_-]+$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/** Whether a file of PEM blocks has this very certificate: by its bytes, which is the only thing that two files of it share. */
function holds(path: string, { certificate }: TrustRoot): boolean {
  if (!existsSync(path)) return false;
  const wanted = certificate.toString('base64');
  return pemBlocks(readFileSync(path, 'latin1')).some(
    ({ pem }) => pem.replace(/-----[^-]+-----/g, '').replace(/\s/g, '') === wanted,
  );
}

function requireWritable({ uid, asRoot }: TrustMachine, folder: string): void {
  if (uid !== 0) throw new Error(`only root changes it: ${asRoot}`);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    throw new Error(`${folder} is read-only here; add the root where this system is built`);
  }
}

/** Everybody has to be able to read it, whatever the umask. @throws IO_ERROR */
function writePublic(path: string, text: string): void {
  try {
    // On Debian a group may write to that folder: a link that lies there must not lead root elsewhere.
    writeFileAtomic(path, text);
    chmodSync(path, 0o644);
  } catch (error) {
    if (error instanceof FlmError) throw error;
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}
