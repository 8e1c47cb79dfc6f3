/** A private authority on a database of its own, a machine that is called as tests want, and openssl to judge what it makes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CertStore, type Certs, createCertStore, createCerts, type MachineNames } from '../../certs';
import { type Databases, openDatabases } from '../../db';
import { type ManualClock, manualClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import { type AuditSpy, auditSpy } from './audit';
import { testDir } from './data-dir';

export interface TestCerts extends AsyncDisposable {
  readonly certs: Certs;
  readonly store: CertStore;
  readonly clock: ManualClock;
  readonly audit: AuditSpy;
  readonly databases: Databases;
  /** What the machine is called from now on. */
  rename(machine: Partial<MachineNames>): void;
  /** The setting certs.names. */
  configure(names: readonly string[]): void;
  /** Whether this process still has the data directory. */
  own(isOwner: boolean): void;
}

/** `nowMs`: openssl looks at the machine's own clock, so tests start there, and a moment later than what it makes for them. */
export async function openTestCerts(nowMs: number = Date.now() + 60_000): Promise<TestCerts> {
  const data = testDir();
  const clock = manualClock(nowMs);
  const databases = await openDatabases({ paths: data.paths, env: data.env, clock, lockWaitMs: 0 });
  const audit = auditSpy();
  const store = createCertStore(databases.security, audit);
  let machine: MachineNames = { hostname: 'box7', hosts: '', addresses: ['192.168.1.20', 'fe80::1%eth0'] };
  let configured: readonly string[] = [];
  let isOwner = true;
  const certs = await createCerts({
    store,
    clock,
    log: silentLog,
    machine: () => machine,
    configured: () => configured,
    isOwner: () => isOwner,
  });
  return {
    certs,
    store,
    clock,
    audit,
    databases,
    rename(changed) {
      machine = { ...machine, ...changed };
    },
    configure(names) {
      configured = names;
    },
    own(is) {
      isOwner = is;
    },
    async [Symbol.asyncDispose]() {
      await certs.close();
      databases.close();
      data[Symbol.dispose]();
    },
  };
}

/** A folder for what openssl reads, and openssl. */
export interface Openssl extends Disposable {
  /** Writes a file and returns its path. */
  file(name: string, content: string | Uint8Array): string;
  run(...words: readonly string[]): { readonly code: number; readonly output: string };
  /** `openssl x509 -text` of a PEM certificate. */
  text(pem: string): string;
  /** `OK`, or the error that `openssl verify` names. `chain`: the server's certificate and what it sends with it. */
  verify(root: string, chain: string, ...more: readonly string[]): string;
}

export function openssl(): Openssl {
  const dir = mkdtempSync(join(tmpdir(), 'flm-openssl-'));
  const file = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  const run = (...words: readonly string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(['openssl', ...words], { cwd: dir });
    return { code: exitCode, output: stdout.toString() + stderr.toString() };
  };
  return {
    file,
    run,
    text: (pem) => run('x509', '-noout', '-text', '-in', file('text.pem', pem)).output,
    verify(root, chain, ...more) {
      const [ca, leaf] = [file('root.pem', root), file('chain.pem', chain)];
      // Nothing but the root that is given: the machine's own are no help here.
      const words = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-x509_strict', '-purpose', 'sslserver'];
      const { output } = run('verify', ...words, '-CAfile', ca, '-untrusted', leaf, ...more, leaf);
      return /: OK\b/.test(output) ? 'OK' : (/lookup: (.*)/.exec(output)?.[1] ?? output);
    },
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}
