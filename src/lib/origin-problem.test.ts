/** Origins of a policy: those that a browser could send, and words for the others. */
import { expect, test } from 'bun:test';
import { originProblem } from './origin-problem';

test.each([
  '*',
  'localhost',
  'Localhost',
  'chat.example',
  'example.com',
  'xn--bcher-kva.example',
  'https://chat.example',
  'https://chat.example:8443',
  'http://localhost:3000',
  'http://open_webui:3000',
  'http://10.0.0.5',
  'http://10.0.0.5:3000',
  'http://[::1]:3000',
  'https://[2001:db8::7]',
  '192.168.1.5',
  'chrome-extension://abcdefghijklmnop',
  'tauri://localhost',
  'app://obsidian.md',
])('FLM-109 [X]: %s is an origin', (entry) => {
  expect(originProblem(entry)).toBeNull();
});

test.each([
  ['null', 'every page in a sandbox'],
  ['https://*.example.com', '* stands alone'],
  ['*.example.com', '* stands alone'],
  ['https://chat.example/', 'write https://chat.example'],
  ['https://chat.example/app?x', 'write https://chat.example'],
  ['https://chat.example:443', 'write https://chat.example'],
  ['http://chat.example:80', 'write http://chat.example'],
  ['https://a:0', 'a number from 1 to 65535'],
  ['https://a:65536', 'a number from 1 to 65535'],
  ['https://user@chat.example', 'no user name'],
  ['https://', 'no host'],
  ['https://exa mple.com', 'a space'],
  ['https://bücher.example', 'xn--bcher-kva.example'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['localhost:3000', 'http://localhost:3000'],
  ['example.com/app', 'a scheme'],
  ['-a.example', 'no valid domain'],
  ['open_webui', 'no valid domain'],
  ['a..example', 'no valid domain'],
  ['https://10.0.0.300', 'no valid address'],
  ['https://1.2.3', 'no valid address'],
  ['::1', 'in brackets'],
  ['https://[::g]', 'no valid address'],
  ['https://[2001:db8:0:0::7]', '[2001:db8::7]'],
  ['file:///home/me/page.html', 'pages of files'],
])('%s is none: %s', (entry, words) => {
  expect(originProblem(entry)).toContain(words);
});
