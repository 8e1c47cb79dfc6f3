import { expect, test } from 'bun:test';
import { hostIn, isLocalName } from './host';

test.each([
  ['localhost:8080', 'localhost'],
  ['LLM.Example.com', 'llm.example.com'],
  ['[::1]:8081', '[::1]'],
  ['10.0.0.1', '10.0.0.1'],
  ['', null],
  ['first, second', null],
  ['a b', null],
  ['evil.example/x', null],
  ['user@evil.example', null],
  ['host:', null],
])('%p names the host %p', (header, host) => {
  expect(hostIn(header)).toBe(host);
});

test('a name that somebody else controls is not local', () => {
  expect(['localhost', 'app.localhost', '127.0.0.1', '[::1]', '192.168.1.2'].every(isLocalName)).toBe(true);
  expect(['localhost.example.com', 'box', 'notlocalhost'].some(isLocalName)).toBe(false);
});
