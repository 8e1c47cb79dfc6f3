/** Certificates for tests, made by openssl in a temporary directory: an authority, and servers with and without its blessing. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestCertificate {
  readonly key: string;
  readonly cert: string;
}

export interface TestCa extends Disposable {
  /** The authority's own certificate, as a file: for NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
  /** For these names, such as `DNS:localhost,IP:127.0.0.1`. `days` below zero makes one that has expired. */
  issue(names: string, days?: number): TestCertificate;
  /** One that vouches for itself. */
  selfSigned(names: string): TestCertificate;
}

export function createTestCa(): TestCa {
  const dir = mkdtempSync(join(tmpdir(), 'flm-ca-'));
  const at = (name: string): string => join(dir, name);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  let count = 0;

  function openssl(...words: string[]): void {
    const { exitCode, stderr } = Bun.spawnSync(['openssl', ...words], { stderr: 'pipe', stdout: 'ignore' });
    if (exitCode !== 0) throw new Error(`openssl ${words.join(' ')}: ${stderr.toString()}`);
  }

  function read(name: string): TestCertificate {
    return { key: readFileSync(at(`${name}.key`), 'utf8'), cert: readFileSync(at(`${name}.pem`), 'utf8') };
  }

  function selfSign(name: string, subject: string, ...more: string[]): void {
    const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)];
    openssl('req', '-x509', ...newKey, ...files, '-days', '2', '-subj', `/CN=${subject}`, ...more);
  }

  selfSign('ca', 'FLM test authority');
  return {
    caFile: at('ca.pem'),
    issue(names, days = 2) {
      const name = `leaf${++count}`;
      writeFileSync(at('extensions'), `subjectAltName=${names}\n`);
      openssl('req', ...newKey, '-keyout', at(`${name}.key`), '-out', at('request'), '-subj', `/CN=${name}`);
      openssl(
        ...['x509', '-req', '-in', at('request'), '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
        ...['-CAcreateserial', '-out', at(`${name}.pem`), '-days', `${days}`, '-extfile', at('extensions')],
      );
      return read(name);
    },
    selfSigned(names) {
      const name = `self${++count}`;
      selfSign(name, name, '-addext', `subjectAltName=${names}`);
      return read(name);
    },
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}
