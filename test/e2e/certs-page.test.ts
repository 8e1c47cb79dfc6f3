/** The page /ca as a phone shows it: zbar reads its code, and all that it offers is the root that openssl knows. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openssl } from '../support/certs';
import type { TestDir } from '../support/data-dir';
import { dataOf, executable, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isMissing, lacksProgram } from '../support/missing';

setDefaultTimeout(60_000);
const NO_BROWSER =
  isMissing('the page /ca in a browser', lacksProgram('chromium')) ||
  isMissing('the codes on the page /ca', lacksProgram('zbarimg'));

const ssl = openssl();
const dir = mkdtempSync(join(tmpdir(), 'flm-page-'));
let home: TestDir;
let running: RunningFlm;
let base: string;

beforeAll(async () => {
  await executable();
  home = testHome();
  running = await startFlm(home.env, ['--port', '0', '--mode', 'packaged-ca']);
  base = `http://127.0.0.1:${running.data.proxies[0]?.port}`;
}, 60_000);
afterAll(async () => {
  await running.stop();
  home[Symbol.dispose]();
  ssl[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
  expect(leftovers()).toEqual([]);
});

/** The root's fingerprint, as openssl says it of a certificate in DER or PEM. */
function fingerprintBy(content: Uint8Array, form: 'DER' | 'PEM'): string {
  const { output } = ssl.run(
    ...['x509', '-noout', '-fingerprint', '-sha256', '-inform', form, '-in', ssl.file('root', content)],
  );
  return output.trim().split('=')[1]?.toLowerCase() ?? output;
}

async function fingerprint(): Promise<string> {
  const status = (await dataOf(home.env, ['security', 'ca', 'status'])) as {
    roots: { fingerprint: string }[];
  };
  return status.roots[0]?.fingerprint ?? '';
}

test('what it offers is the root, in the forms and under the types that devices take', async () => {
  const wanted = await fingerprint();
  const get = async (name: string) => {
    const response = await fetch(`${base}/ca/${name}`);
    return { type: response.headers.get('content-type'), bytes: await response.bytes() };
  };
  const [der, pem, profile] = [
    await get('flm-ca.crt'),
    await get('flm-ca.pem'),
    await get('flm-ca.mobileconfig'),
  ];
  expect([der.type, pem.type, profile.type]).toEqual([
    'application/x-x509-ca-cert',
    'application/x-pem-file',
    'application/x-apple-aspen-config',
  ]);
  const inProfile = /<data>\s*([\s\S]*?)\s*<\/data>/.exec(new TextDecoder().decode(profile.bytes))?.[1] ?? '';
  expect([
    fingerprintBy(der.bytes, 'DER'),
    fingerprintBy(pem.bytes, 'PEM'),
    fingerprintBy(Buffer.from(inProfile, 'base64'), 'DER'),
  ]).toEqual([wanted, wanted, wanted]);
  for (const language of ['en', 'ja']) {
    const page = await fetch(`${base}/ca`, { headers: { 'accept-language': language } });
    expect(page.headers.get('content-language')).toBe(language);
    expect(page.headers.get('content-security-policy')).toStartWith("default-src 'none'; ");
    expect(await page.text()).toContain(wanted);
  }
});

describe.skipIf(NO_BROWSER)('its code', () => {
  /** What zbar reads off the page on a screen of that width. */
  async function scanned(host: string, width: number): Promise<string> {
    const picture = join(dir, `${host}-${width}.png`);
    const words = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--hide-scrollbars'];
    const port = new URL(base).port;
    const child = Bun.spawn(
      [
        ...['chromium', ...words, `--user-data-dir=${join(dir, 'profile')}`, `--window-size=${width},1600`],
        ...['--host-resolver-rules=MAP * 127.0.0.1', `--screenshot=${picture}`, `http://${host}:${port}/ca`],
      ],
      { env: { PATH: process.env.PATH, HOME: dir }, stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
    );
    await child.exited;
    return Bun.spawnSync(['zbarimg', '-q', '--raw', picture], { stderr: 'ignore' }).stdout.toString().trim();
  }

  test.each([390, 1280])(
    'leads other devices to the page, or tells the fingerprint (%p pixels)',
    async (width) => {
      const port = new URL(base).port;
      expect(await scanned('192.168.1.20', width)).toBe(`http://192.168.1.20:${port}/ca`);
      // This machine's own name means another one everywhere else.
      expect(await scanned('localhost', width)).toBe(await fingerprint());
    },
  );
});
