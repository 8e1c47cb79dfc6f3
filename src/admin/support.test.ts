import { expect, test } from 'bun:test';
import { createVeil } from './support';

const veil = createVeil({
  homes: ['/home/maria', ''],
  hosts: ['gpu.example.org', '127.0.0.1', 'localhost', '10.0.0.7'],
  names: ['Ab12Cd34'],
});

test.each([
  ['/home/maria/.local/share/flm/config.db', '~/.local/share/flm/config.db'],
  ['http://gpu.example.org:8000 and gpu.example.org', 'http://host-1:8000 and host-1'],
  ['http://10.0.0.7:8000', 'http://10.0.0.***:8000'],
  ['"ip":"2001:db8:1:2:3:4:5:6"', '"ip":"2001:db8:1:2:***"'],
  ['http://[2001:db8::7]:8000/', 'http://[2001:db8:0:0:***]:8000/'],
  ['::ffff:203.0.113.7', '::ffff:203.0.113.***'],
  ['fe80::1%eth0', 'fe80:0:0:0:***%eth0'],
  ['key Ab12Cd34', 'key Ab***'],
  [`flm_abcdefgh${'S'.repeat(38)}`, 'flm_abcdefgh[redacted]'],
])('%s becomes %s', (text, shown) => {
  expect(veil(text)).toBe(shown);
});

test.each([
  '127.0.0.1:8080',
  '[::1]:8080',
  '0.0.0.0',
  'bind ::',
  '2026-11-23T22:43:04.123Z',
  '00:12:34',
  'flm_requests_total{route="/v1/models",status="200"} 3',
  'sha256:0123456789abcdef',
  'localhost:11434',
])('%s stays as it is', (text) => {
  expect(veil(text)).toBe(text);
});
