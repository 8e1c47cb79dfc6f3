/** What a service manager hears, over a socket such as systemd's. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { testDir } from '../../test/support/data-dir';
import { collect } from '../../test/support/output';
import { connectServiceManager, hasServiceManager } from './notify';

/** Prints each datagram that comes to the socket, as a line of JSON. */
const LISTENER = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', '\\0', 1))
print('listening', flush=True)
while True: print(json.dumps(s.recv(4096).decode()), flush=True)
`;

test.each([
  ['a path', (dir: string) => join(dir, 'notify')],
  ['a name without a file', (dir: string) => `@${dir}/notify`],
])('hears of the start, of every sign of life and of the end: %s', async (_, nameIn) => {
  using data = testDir();
  const socket = nameIn(data.dir);
  const python = Bun.spawn(['python3', '-c', LISTENER, socket], { stdout: 'pipe' });
  const heard = collect(python.stdout);
  await heard.until((text) => text.startsWith('listening\n'));
  const manager = connectServiceManager({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '100000' });
  manager.ready('serving on 127.0.0.1:8080');
  await heard.until((text) => text.split('WATCHDOG=1').length > 3);
  manager.close();
  manager.stopping();
  const lines = (await heard.until((text) => text.includes('STOPPING')))
    .trim()
    .split('\n')
    .slice(1)
    .map((line): unknown => JSON.parse(line));
  expect(lines[0]).toBe(`READY=1\nSTATUS=serving on 127.0.0.1:8080\nMAINPID=${process.pid}`);
  expect(new Set(lines.slice(1, -1))).toEqual(new Set(['WATCHDOG=1']));
  expect(lines.at(-1)).toBe('STOPPING=1');
  python.kill();
  await python.exited;
});

test('nobody is told anything where nobody listens', () => {
  for (const env of [
    {},
    { NOTIFY_SOCKET: '' },
    { NOTIFY_SOCKET: `/${'x'.repeat(200)}` },
    { NOTIFY_SOCKET: '/gone' },
  ]) {
    const manager = connectServiceManager(env);
    manager.ready('up');
    manager.stopping();
    manager.close();
  }
  expect([hasServiceManager({}), hasServiceManager({ NOTIFY_SOCKET: '/x' })]).toEqual([false, true]);
});
