/** The trust page: in the visitor's language, without a script, and with files that devices take. */
import { describe, expect, test } from 'bun:test';
import encodeQr from 'qr';
import { decodeQR } from 'qr/decode.js';
import { openssl, openTestCerts } from '../../test/support/certs';
import { qrSvg, qrText } from '../export/qr';
import { languageFor } from './language';
import { FILES, LANGUAGES, PLATFORMS, WORDS } from './words';

await using box = await openTestCerts();
const root = await box.certs.createCa({});
const page = box.certs.trustPage('packaged-ca');

function get(
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
  host = 'box.local:8080',
): Response {
  const request = new Request(`http://${host}${path}`, { method, headers });
  const answer = page.answer(request, new URL(request.url).pathname);
  if (answer === null) throw new Error(`${path} is not answered`);
  return answer;
}

describe('languageFor', () => {
  test.each([
    [null, 'en'],
    ['', 'en'],
    ['de', 'en'],
    ['ja', 'ja'],
    ['ja-JP,ja;q=0.9,en;q=0.8', 'ja'],
    ['en-GB,en;q=0.9,ja;q=0.8', 'en'],
    ['de;q=1, ja;q=0.3, en;q=0.2', 'ja'],
    ['ja;q=0, en;q=0.1', 'en'],
    ['ja;q=x', 'en'],
    ['jam', 'en'],
  ])('%p: %s', (header, language) => {
    expect(languageFor(header)).toBe(language as 'en' | 'ja');
  });
});

test('is found with a slash behind it, too', async () => {
  expect(await get('/ca/').text()).toBe(await get('/ca').text());
});

describe.each(LANGUAGES)('the page in %s', (language) => {
  const html = () => get('/ca', { 'accept-language': language }).text();

  test('has the fingerprint, a way for each platform, and the files that they want', async () => {
    const text = await html();
    expect(text).toContain(`<html lang="${language}">`);
    expect(text).toContain(root.fingerprint);
    for (const platform of PLATFORMS) {
      expect(text).toContain(`<details id="${platform}">`);
      const { file, steps } = WORDS[language].guides[platform];
      expect(text).toContain(`href="${FILES[file].path}"`);
      expect(steps.length).toBeGreaterThanOrEqual(3);
    }
  });

  test('has no script, no style in attributes, and nothing from elsewhere', async () => {
    const text = await html();
    expect(text).not.toMatch(/<script|javascript:|\son[a-z]+=|\sstyle=|@import|url\(/i);
    const links = [...text.matchAll(/\b(?:src|href)="([^"]*)"/g)].map(([, link = '']) => link);
    expect(links.length).toBe(PLATFORMS.length + 1);
    expect(links.filter((link) => !link.startsWith('/ca'))).toEqual([]);
  });

  test('says all that the other one says', () => {
    expect(Object.keys(WORDS[language]).sort()).toEqual(Object.keys(WORDS.en).sort());
    expect(PLATFORMS.map((platform) => WORDS[language].guides[platform].steps.length)).toEqual(
      PLATFORMS.map((platform) => WORDS.en.guides[platform].steps.length),
    );
  });
});

describe('an answer', () => {
  test('allows its own style, and nothing else', async () => {
    const answer = get('/ca');
    const policy = answer.headers.get('content-security-policy') ?? '';
    const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(await answer.text()) ?? [];
    const digest = new Bun.CryptoHasher('sha256').update(style).digest('base64');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain(`style-src 'sha256-${digest}';`);
    expect(answer.headers.get('vary')).toBe('Accept-Language');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });

  test('takes ?lang= before Accept-Language, and nothing that is no language of ours', async () => {
    expect(await get('/ca?lang=ja', { 'accept-language': 'en' }).text()).toContain('lang="ja"');
    expect(await get('/ca?lang=<b>', { 'accept-language': 'en' }).text()).not.toContain('<b>');
  });

  test('has a code of the address for other devices, and of the fingerprint where there is none', async () => {
    const codeOf = async (host: string) =>
      /aria-label="([^"]*)"/.exec(await get('/ca', {}, 'GET', host).text())?.[1];
    expect(await codeOf('box.local:8080')).toBe('http://box.local:8080/ca');
    expect(await codeOf('192.168.1.20:8080')).toBe('http://192.168.1.20:8080/ca');
    for (const host of ['localhost:8080', '127.0.0.1:8080', '[::1]:8080', 'x.localhost'])
      expect(await codeOf(host)).toBe(root.fingerprint);
  });

  test('of a file is what devices take', async () => {
    using ssl = openssl();
    const pem = get(FILES.pem.path);
    expect(await pem.text()).toBe(root.certificate_pem);
    const der = get(FILES.der.path);
    expect(der.headers.get('content-type')).toBe('application/x-x509-ca-cert');
    const file = ssl.file('root.der', await der.bytes());
    const read = ssl.run('x509', '-inform', 'DER', '-noout', '-fingerprint', '-sha256', '-in', file).output;
    expect(read.toLowerCase()).toContain(root.fingerprint);
    const profile = get(FILES.mobileconfig.path);
    expect(profile.headers.get('content-type')).toBe('application/x-apple-aspen-config');
    const text = await profile.text();
    expect(text).toContain('<string>com.apple.security.root</string>');
    const [, data = ''] = /<data>([\s\S]*?)<\/data>/.exec(text) ?? [];
    expect(ssl.file('x', Buffer.from(data, 'base64')) && Buffer.from(data, 'base64')).toEqual(
      Buffer.from(root.certificate_pem.replace(/-----[^-]+-----|\s/g, ''), 'base64'),
    );
    expect(await get(FILES.mobileconfig.path).text()).toBe(text);
  });

  test('never holds a key', async () => {
    for (const path of ['/ca', ...Object.values(FILES).map((file) => file.path)])
      expect(await get(path).text()).not.toContain('PRIVATE');
  });

  test('is for GET and HEAD, and for what is there', async () => {
    expect(get('/ca', {}, 'POST').status).toBe(405);
    expect(get('/ca/flm-ca.key').status).toBe(404);
    expect(await get('/ca', {}, 'HEAD').text()).toBe('');
    const request = new Request('http://box.local/cat');
    expect(page.answer(request, '/cat')).toBeNull();
    expect(page.answer(request, '/v1/models')).toBeNull();
  });

  test('says so while there is no root', async () => {
    const empty = box.certs.trustPage('dev-selfsigned');
    expect(empty.answer(new Request('http://box.local/ca'), '/ca')?.status).toBe(404);
  });
});

test('codes can be read', () => {
  const bitmap = encodeQr(root.fingerprint, 'raw', { scale: 4 });
  const pixels = new Uint8Array(
    bitmap.flat().flatMap((dark) => [dark ? 0 : 255, dark ? 0 : 255, dark ? 0 : 255, 255]),
  );
  const size = bitmap.length;
  const decode = decodeQR as unknown as (image: {
    width: number;
    height: number;
    data: Uint8Array;
  }) => string;
  expect(decode({ width: size, height: size, data: pixels })).toBe(root.fingerprint);
  // The terminal's is the same code, two rows in a line.
  expect(qrText(root.fingerprint).split('\n').length).toBe(
    Math.ceil(encodeQr(root.fingerprint, 'raw').length / 2),
  );
  expect(qrSvg(root.fingerprint)).toMatch(/^<svg [^>]*viewBox/);
});
