/** Before anything is sent to the admin socket: is it, and its folder, this user's and nobody else's? */
import { describe, expect, test } from 'bun:test';
import { chmodSync, chownSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { testDir } from '../../test/support/data-dir';
import { errorOf } from '../../test/support/thrown';
import { MAX_SOCKET_PATH } from '../lib/paths';
import { wayTo } from './socket';

const STRANGER = 65_534;
const isRoot = process.getuid?.() === 0;

/** A folder as FLM makes it, with a socket of somebody who listens. */
function folderIn(dir: string): { readonly folder: string; readonly socket: string } & Disposable {
  const folder = join(dir, 'run');
  mkdirSync(folder, { mode: 0o700 });
  const socket = join(folder, 'admin.sock');
  const server = Bun.serve({ unix: socket, fetch: () => new Response('ours') });
  return { folder, socket, [Symbol.dispose]: () => void server.stop(true) };
}

type Intrusion = [string, string, (there: { folder: string; socket: string }) => void];

const OF_OTHERS: Intrusion[] = [
  ['a folder of another user', 'another user', ({ folder }) => chownSync(folder, STRANGER, STRANGER)],
  ['a socket of another user', 'another user', ({ socket }) => chownSync(socket, STRANGER, STRANGER)],
];

describe('the way to the admin socket', () => {
  test('is its own path where that is short', () => {
    using data = testDir();
    using there = folderIn(data.dir);
    expect(wayTo(there.socket).path).toBe(there.socket);
  });

  test.skipIf(process.platform !== 'linux')('is a short one on Linux, for both ends', async () => {
    using data = testDir();
    const socket = join(data.dir, 'd'.repeat(120), 'run', 'admin.sock');
    mkdirSync(dirname(socket), { recursive: true, mode: 0o700 });
    const [server, client] = [wayTo(socket), wayTo(socket)];
    const serving = Bun.serve({ unix: server.path, fetch: () => new Response('ours') });
    expect(existsSync(socket)).toBe(true);
    expect(Buffer.byteLength(client.path)).toBeLessThan(MAX_SOCKET_PATH);
    expect(await (await fetch('http://x/', { unix: client.path })).text()).toBe('ours');
    await serving.stop(true);
    expect(existsSync(socket)).toBe(false);
    for (const way of [server, client]) way.close();
  });

  test.each<Intrusion>([
    ['a folder that others may write to', 'others may write', ({ folder }) => chmodSync(folder, 0o722)],
    [
      'a link in place of the folder',
      'a link or a file',
      ({ folder }) => {
        Bun.spawnSync(['mv', folder, `${folder}-elsewhere`]);
        symlinkSync(`${folder}-elsewhere`, folder);
      },
    ],
    [
      'a link in place of the socket',
      'no socket',
      ({ socket }) => {
        Bun.spawnSync(['mv', socket, `${socket}-elsewhere`]);
        symlinkSync(`${socket}-elsewhere`, socket);
      },
    ],
    [
      'a file in place of the socket',
      'no socket',
      ({ socket }) => {
        Bun.spawnSync(['rm', socket]);
        writeFileSync(socket, '');
      },
    ],
    ...(isRoot ? OF_OTHERS : []),
  ])('does not lead through %s', async (_, reason, change) => {
    using data = testDir();
    using there = folderIn(data.dir);
    change(there);
    const error = await errorOf(() => wayTo(there.socket));
    expect([error.code, error.hint === null]).toEqual(['IO_ERROR', false]);
    expect(error.message).toContain(reason);
    expect(error.message).toContain(there.socket);
  });

  test.skipIf(!isRoot)('is open to root where the data directory is somebody else’s', () => {
    using data = testDir();
    using there = folderIn(data.dir);
    for (const path of [data.dir, there.folder, there.socket]) chownSync(path, STRANGER, STRANGER);
    expect(wayTo(there.socket).path).toBe(there.socket);
    expect(statSync(there.folder).uid).toBe(STRANGER);
  });
});
