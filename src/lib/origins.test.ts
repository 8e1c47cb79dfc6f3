import { expect, test } from 'bun:test';
import { isOrigin, parseOrigins } from './origins';

test.each([
  ['https://chat.example', 'https://chat.example', true],
  ['https://chat.example', 'http://chat.example', false],
  ['https://chat.example', 'https://chat.example:8443', false],
  ['https://chat.example', 'https://a.chat.example', false],
  ['https://chat.example', 'https://chat.example.evil.example', false],
  ['https://chat.example', 'https://evilchat.example', false],
  ['https://chat.example', 'https://chat.example, https://evil.example', false],
  ['https://chat.example', 'null', false],
  ['https://chat.example', '', false],
  ['HTTPS://Chat.Example:443/', 'https://chat.example', true],
  ['http://10.0.0.5:3000', 'http://10.0.0.5:3000', true],
  ['http://10.0.0.5:3000', 'http://10.0.0.5', false],
  ['http://[::1]:3000', 'http://[::1]:3000', true],
  ['http://bücher.example', 'http://xn--bcher-kva.example', true],
  ['chat.example', 'https://chat.example', true],
  ['chat.example', 'http://chat.example', false],
  ['chat.example:8443', 'https://chat.example:8443', true],
  ['localhost', 'http://localhost', true],
  ['localhost', 'http://localhost:3000', true],
  ['localhost', 'https://localhost:8443', true],
  ['localhost', 'http://localhost.evil.example', false],
  ['localhost', 'http://localhost:3000.evil.example', false],
  ['localhost', 'http://127.0.0.1:3000', false],
  ['localhost', 'tauri://localhost', false],
  ['tauri://localhost', 'tauri://localhost', true],
  ['chrome-extension://abcdef', 'chrome-extension://abcdef', true],
  ['chrome-extension://abcdef', 'chrome-extension://other', false],
  ['*', 'https://anybody.example', true],
  ['*', 'null', true],
])('%p holds %p: %p', (entry, origin, held) => {
  expect(isOrigin(entry)).toBe(true);
  expect(parseOrigins([entry]).has(origin)).toBe(held);
});

test('the second of several counts as much as the first (FLM-087 [D])', () => {
  const origins = parseOrigins(['https://one.example', 'two.example', 'localhost']);
  expect(origins.has('https://two.example')).toBe(true);
  expect(origins.has('http://localhost:1')).toBe(true);
  expect([origins.isAny, origins.isEmpty]).toEqual([false, false]);
});

test('nobody is in an empty one', () => {
  const origins = parseOrigins([]);
  expect([origins.isEmpty, origins.isAny, origins.has('https://chat.example')]).toEqual([true, false, false]);
});

test.each([
  '',
  ' ',
  'null',
  'null ',
  'https://',
  'https://chat.example/path',
  'https://chat.example?x',
  'https://user@chat.example',
  'https://*.chat.example',
  '*.chat.example',
  'https://chat.example https://b.example',
  'file:///home',
  'chat example',
  'chat_example',
  'https://chat.example:99999',
])('%p is no origin', (entry) => {
  expect(isOrigin(entry)).toBe(false);
  expect(() => parseOrigins(['https://fine.example', entry])).toThrow(
    new TypeError(`"${entry}" is no origin such as https://chat.example, chat.example, localhost or *`),
  );
});
