/** An authority for client certificates, as owners have one: openssl, which issues, revokes, and writes revocation lists. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ClientIdentity {
  /** Paths of PEM files. `cert` holds the certificates between it and its root, too. */
  readonly cert: string;
  readonly key: string;
  readonly certPem: string;
  readonly keyPem: string;
  /** SHA-256, 64 hexadecimal digits. */
  readonly fingerprint: string;
}

export interface IssueOptions {
  /** Extended key usage; default clientAuth. */
  readonly usage?: string;
  /** In days from now; default -1 and 2. */
  readonly from?: number;
  readonly until?: number;
}

export interface ClientCa extends Disposable {
  /** Its own certificate, PEM: the file, and its text. */
  readonly file: string;
  readonly pem: string;
  issue(name: string, options?: IssueOptions): ClientIdentity;
  /** An authority below it. What that one issues brings the authority's certificate along. */
  below(name: string): ClientCa;
  revoke(identity: Pick<ClientIdentity, 'cert'>): void;
  /** Writes its revocation list, of yesterday, and gives its PEM; `days`: for how long from now on. */
  list(days?: number): string;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const DAY_MS = 86_400_000;
const CONFIG = `[ca]
default_ca=own
[own]
dir=.
database=index.txt
serial=serial
new_certs_dir=.
certificate=ca.pem
private_key=ca.key
default_md=sha256
policy=any
unique_subject=no
copy_extensions=none
[any]
commonName=supplied
`;

export function createClientCa(name = 'Test clients'): ClientCa {
  return openCa((dir) => {
    const files = ['-keyout', 'ca.key', '-out', 'ca.pem'];
    run(dir, 'req', '-x509', ...KEY, ...files, '-days', '9', '-subj', `/CN=${name}`);
  }, '');
}

function openCa(make: (dir: string) => void, chain: string): ClientCa {
  const dir = mkdtempSync(join(tmpdir(), 'flm-client-ca-'));
  make(dir);
  writeFileSync(join(dir, 'index.txt'), '');
  writeFileSync(join(dir, 'serial'), `${randomBytes(8).toString('hex')}\n`);
  writeFileSync(join(dir, 'ca.conf'), CONFIG);
  const pem = readFileSync(join(dir, 'ca.pem'), 'utf8');
  const children: ClientCa[] = [];
  let count = 0;

  /** A certificate for the request at `${name}.csr`. */
  function sign(name: string, extensions: string, from: number, until: number): void {
    writeFileSync(join(dir, `${name}.ext`), extensions);
    const dates = ['-startdate', stamp(from), '-enddate', stamp(until)];
    const files = ['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', `${name}.ext`];
    run(dir, 'ca', '-batch', '-notext', '-config', 'ca.conf', ...dates, ...files);
  }

  function ask(name: string, subject: string): void {
    run(dir, 'req', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${subject}`);
  }

  return {
    file: join(dir, 'ca.pem'),
    pem,
    issue(name, { usage = 'clientAuth', from = -1, until = 2 } = {}) {
      const file = `client${++count}`;
      ask(file, name);
      sign(file, `subjectAltName=DNS:${name}\nextendedKeyUsage=${usage}\n`, from, until);
      const cert = join(dir, `${file}.pem`);
      const own = readFileSync(cert, 'utf8');
      const der = Buffer.from(own.replace(/-----[^-]+-----|\s/g, ''), 'base64');
      writeFileSync(cert, own + chain);
      return {
        cert,
        key: join(dir, `${file}.key`),
        certPem: own + chain,
        keyPem: readFileSync(join(dir, `${file}.key`), 'utf8'),
        fingerprint: new Bun.CryptoHasher('sha256').update(der).digest('hex'),
      };
    },
    below(name) {
      const file = `below${++count}`;
      ask(file, name);
      sign(file, 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n', -1, 5);
      const child = openCa(
        (to) => {
          writeFileSync(join(to, 'ca.key'), readFileSync(join(dir, `${file}.key`)));
          writeFileSync(join(to, 'ca.pem'), readFileSync(join(dir, `${file}.pem`)));
        },
        readFileSync(join(dir, `${file}.pem`), 'utf8'),
      );
      children.push(child);
      return child;
    },
    revoke: ({ cert }) => run(dir, 'ca', '-batch', '-config', 'ca.conf', '-revoke', cert),
    list(days = 1) {
      const dates = ['-crl_lastupdate', stamp(-1), '-crl_nextupdate', stamp(days)];
      run(dir, 'ca', '-batch', '-config', 'ca.conf', '-gencrl', ...dates, '-out', 'list.pem');
      return readFileSync(join(dir, 'list.pem'), 'utf8');
    },
    [Symbol.dispose]() {
      for (const child of children) child[Symbol.dispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** As openssl takes a time: YYYYMMDDHHMMSSZ. */
function stamp(daysFromNow: number): string {
  const time = new Date(Date.now() + daysFromNow * DAY_MS).toISOString();
  return `${time.replace(/[-:T]/g, '').slice(0, 14)}Z`;
}

function run(cwd: string, ...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(['openssl', ...words], {
    cwd,
    stderr: 'pipe',
    stdout: 'ignore',
  });
  if (exitCode !== 0) throw new Error(`openssl ${words.join(' ')}: ${stderr.toString()}`);
}
