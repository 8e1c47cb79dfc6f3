/**
 * The real trial engine for tests: installed once into a cache that survives, started afresh for whoever asks.
 * Tests that need it ask `missingTrialEngine()` first, so that a machine without Python skips them loudly.
 */
import { resolve } from 'node:path';
import { Glob } from 'bun';
import { createTrial, type Trial, type TrialState } from '../../src/engines/trial';
import { systemClock } from '../../src/lib/clock';
import { FlmError } from '../../src/lib/errors';
import { createLog } from '../../src/lib/log';
import { tellSkipped } from '../support/missing';

export interface TrialEngine {
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly model: string;
  /** Requests it works on at once. */
  readonly slots: number;
  stop(): Promise<void>;
}

const REPOSITORY = resolve(import.meta.dir, '../..');

/** Where the installed engine is kept between runs. */
export function trialCacheDir(): string {
  const cache = process.env.FLM_TEST_CACHE || resolve(REPOSITORY, 'node_modules/.cache/flm');
  return resolve(cache, 'trial');
}

/** The trial engine in the cache, not installed or started by this. */
export function cachedTrial(onChange: (state: TrialState) => void = () => {}): Trial {
  const log = createLog(
    () => 'warn',
    systemClock,
    (line) => process.stderr.write(line),
  );
  return createTrial({ dir: trialCacheDir(), env: process.env, log, clock: systemClock, onChange });
}

/**
 * Installs the engine unless the cache has it. Call it at the top of a test file, outside of any test's time-out:
 * `const missing = await missingTrialEngine(); describe.skipIf(missing !== null)(...)`.
 * @returns null when it is there; else why it cannot be had, which has been printed already
 * @throws TRIAL_UNAVAILABLE instead, when FLM_TEST_REQUIRE_ALL=1
 */
export async function missingTrialEngine(): Promise<string | null> {
  try {
    await cachedTrial().install({ progress: (line) => console.warn(`trial engine: ${line}`) });
    return null;
  } catch (error) {
    const unavailable = error instanceof FlmError && error.code === 'TRIAL_UNAVAILABLE';
    if (!unavailable || process.env.FLM_TEST_REQUIRE_ALL === '1') throw error;
    tellSkipped(`the real engine (${error.message})`);
    return error.message;
  }
}

/** Starts the cached engine, installing it first where that has not been done. Whoever starts it stops it. */
export async function startTrialEngine(): Promise<TrialEngine> {
  const trial = cachedTrial();
  await trial.install({ progress: (line) => console.warn(`trial engine: ${line}`) });
  return { ...(await trial.start()), stop: () => trial.stop() };
}

/** The model file that the trial engine was installed with, installing it first where that has not been done. */
export async function trialModelFile(): Promise<string> {
  await cachedTrial().install({ progress: (line) => console.warn(`trial engine: ${line}`) });
  for await (const file of new Glob('**/*.gguf').scan({ cwd: trialCacheDir(), absolute: true })) return file;
  throw new Error('the trial engine has no model file');
}
