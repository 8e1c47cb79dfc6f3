/** Temporary data directories, and an environment that never touches the keychain of whoever runs the tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Env, type Paths, pathsIn } from '../../src/lib/paths';

export interface TestDir extends Disposable {
  readonly dir: string;
  readonly paths: Paths;
  readonly env: Env;
}

/** A new directory that is gone at the end of the scope: `using dir = testDir()`. */
export function testDir(): TestDir {
  const dir = mkdtempSync(join(tmpdir(), 'flm-test-'));
  return {
    dir,
    paths: pathsIn(dir),
    env: {
      FLM_DATA_DIR: dir,
      FLM_DISABLE_KEYRING: '1',
      // Tests run side by side, and the default is one port.
      FLM_ADMIN_PORT: '0',
      PATH: process.env.PATH,
      HOME: join(dir, 'home'),
    },
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}
