/** Where FLM's files are: FLM_DATA_DIR, then each platform's own place (design §3 "Files"). */
import { describe, expect, test } from 'bun:test';
import { basename, dirname, relative } from 'node:path';
import { dataDir, pathsIn } from './paths';

describe('dataDir', () => {
  test.each([
    [{ FLM_DATA_DIR: '/srv/flm', HOME: '/home/a', XDG_DATA_HOME: '/x' }, 'linux', '/srv/flm'],
    [{ FLM_DATA_DIR: '/srv/flm/../other/' }, 'darwin', '/srv/other'],
    [{ HOME: '/home/a' }, 'linux', '/home/a/.local/share/flm'],
    [{ HOME: '/home/a', XDG_DATA_HOME: '/x/share' }, 'linux', '/x/share/flm'],
    [{ HOME: '/home/a', XDG_DATA_HOME: '' }, 'linux', '/home/a/.local/share/flm'],
    [{ HOME: '/home/a', FLM_DATA_DIR: '' }, 'freebsd', '/home/a/.local/share/flm'],
    [{ HOME: '/Users/a', XDG_DATA_HOME: '/x' }, 'darwin', '/Users/a/Library/Application Support/flm'],
    [{ HOME: '/h', LOCALAPPDATA: '/local' }, 'win32', '/local/flm'],
    [{ HOME: '/h' }, 'win32', '/h/AppData/Local/flm'],
  ] as const)('%p on %s is %s', (env, platform, dir) => {
    expect(dataDir(env, platform)).toBe(dir);
  });

  test('is absolute even when FLM_DATA_DIR is not', () => {
    expect(dataDir({ FLM_DATA_DIR: 'data' })).toBe(`${process.cwd()}/data`);
  });
});

describe('pathsIn', () => {
  test('keeps every file inside the data directory', () => {
    const { dir, ...files } = pathsIn('/srv/flm');
    for (const file of Object.values(files)) expect(relative(dir, file)).not.toStartWith('..');
    expect(new Set(Object.values(files)).size).toBe(Object.keys(files).length);
    expect(files.adminSocket).toBe('/srv/flm/run/admin.sock');
  });

  test('moves the socket of a deep directory to where its path fits into sun_path', () => {
    const deep = pathsIn(`/srv/${'d'.repeat(120)}`, 'darwin');
    expect(Buffer.byteLength(deep.adminSocket)).toBeLessThanOrEqual(100);
    // Its folder is this user's own, and another directory has another socket.
    expect(basename(dirname(deep.adminSocket))).toBe(`flm-${process.getuid?.() ?? 0}`);
    expect(pathsIn(`/srv/${'e'.repeat(120)}`, 'darwin').adminSocket).not.toBe(deep.adminSocket);
    expect(pathsIn(deep.dir, 'darwin').adminSocket).toBe(deep.adminSocket);
  });

  test('keeps it there on Linux, and never asks $TMPDIR', () => {
    const dir = `/srv/${'d'.repeat(120)}`;
    expect(pathsIn(dir, 'linux').adminSocket).toBe(`${dir}/run/admin.sock`);
    expect(pathsIn(dir, 'darwin').adminSocket).toStartWith('/tmp/flm-');
  });

  test('counts bytes and not characters', () => {
    const dir = `/srv/${'ü'.repeat(45)}`;
    expect(`${dir}/run/admin.sock`.length).toBeLessThan(100);
    expect(pathsIn(dir, 'darwin').adminSocket).not.toStartWith(dir);
  });
});
