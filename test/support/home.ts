/** A data directory for the executable, whose FLM looks for no engines by itself: the machine may run some. */
import type { Env } from '../../src/lib/paths';
import { type TestDir, testDir } from './data-dir';

/** As testDir, with more in its environment: `using home = testHome({ FLM_LOG_LEVEL: 'debug' })`. */
export function testHome(extra: Env = {}): TestDir {
  const { dir, paths, env, [Symbol.dispose]: dispose } = testDir();
  return { dir, paths, env: { ...env, FLM_ENGINE_DETECT: 'false', ...extra }, [Symbol.dispose]: dispose };
}
