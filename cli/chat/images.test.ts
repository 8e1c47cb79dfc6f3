import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEgress, type Egress, EgressError } from '../../src/egress';
import { systemClock } from '../../src/lib/clock';
import { FlmError } from '../../src/lib/errors';
import { imageFromFile, imageFromUrl } from './images';

const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const WEBP = Buffer.from('RIFF\0\0\0\0WEBPVP8 ', 'latin1');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'flm-images-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function file(name: string, bytes: Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  return path;
}

describe('an image file', () => {
  test.each([
    ['png', PNG],
    ['jpeg', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)],
    ['webp', WEBP],
    ['gif', Buffer.from('GIF89a')],
  ])('%s is known by its first bytes, whatever it is called', (type, bytes) => {
    const url = imageFromFile(file('picture.txt', bytes));
    expect(url).toBe(`data:image/${type};base64,${Buffer.from(bytes).toString('base64')}`);
  });

  test.each([
    ['text', Buffer.from('hello')],
    ['an SVG, which may hold scripts', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
    ['another RIFF file', Buffer.from('RIFF\0\0\0\0WAVEfmt ', 'latin1')],
    ['nothing', new Uint8Array(0)],
  ])('%s is refused, and the file is named', (_, bytes) => {
    const path = file('no-image.png', bytes);
    expect(() => imageFromFile(path)).toThrow(`--image: ${path} is no PNG, JPEG, WebP or GIF image.`);
  });

  test('over 10 MB is refused before it is read', () => {
    const path = join(dir, 'large.png');
    ftruncateSync(openSync(path, 'w'), 10 * 1024 * 1024 + 1);
    expect(() => imageFromFile(path)).toThrow(`--image: ${path} is larger than 10 MB.`);
  });

  test('that is not there, or is none, is a mistake of whoever typed it', () => {
    const missing = join(dir, 'missing.png');
    expect(() => imageFromFile(missing)).toThrow(`--image: there is no file ${missing}.`);
    expect(() => imageFromFile(dir)).toThrow(`--image: ${dir} is a directory.`);
  });
});

describe('an image on the internet', () => {
  function egressWith(download: Egress['download']): Egress {
    return { ...createEgress({ clock: systemClock }), download };
  }

  test('is fetched here, within bounds', async () => {
    const asked: unknown[] = [];
    const egress = egressWith(async (url, options) => {
      asked.push([url, options]);
      return { bytes: WEBP, contentType: 'text/plain' };
    });
    const url = await imageFromUrl(egress, 'https://example.org/cat');
    expect(url).toBe(`data:image/webp;base64,${WEBP.toString('base64')}`);
    expect(asked).toEqual([['https://example.org/cat', { maxBytes: 10_485_760, timeoutMs: 30_000 }]]);
  });

  test('that is a web page is refused', async () => {
    const egress = egressWith(async () => ({ bytes: Buffer.from('<html>'), contentType: 'image/png' }));
    const error: unknown = await imageFromUrl(egress, 'https://example.org/').catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'INVALID_INPUT' });
  });

  test('that cannot be fetched says why', async () => {
    const egress = egressWith(async () => {
      throw new EgressError('unreachable', 'its name cannot be resolved');
    });
    const fetching = imageFromUrl(egress, 'https://nowhere.invalid/');
    expect(fetching).rejects.toThrow(
      '--image-url: https://nowhere.invalid/ cannot be fetched (its name cannot be resolved).',
    );
  });

  test.each([
    'http://127.0.0.1:8080/cat.png',
    'http://[::1]/',
    'http://169.254.169.254/',
    'http://10.0.0.1/',
    'file:///etc/passwd',
  ])('is never fetched from %s', async (url) => {
    const egress = createEgress({ clock: systemClock });
    const error: unknown = await imageFromUrl(egress, url).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FlmError);
    expect(error).toMatchObject({ code: 'EGRESS_REFUSED' });
  });
});
