/** llama.cpp: recognised by what only it says, with its slots and its context; and its programs where they lie. */
import { describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testDir } from '../../../test/support/data-dir';
import { egressMap } from '../../../test/support/egress-map';
import { fakeEngine, headerOf } from '../../../test/support/fakes';
import { httpStranger } from '../../../test/support/strangers';
import { codeOf } from '../../../test/support/thrown';
import type { EngineTarget, Probe } from '../adapter';
import { createMemo } from '../memo';
import { llamacpp } from '.';
import { findLlamaServer } from './installed';

const target: EngineTarget = { baseUrl: 'http://127.0.0.1:1', credential: null };

async function probe(url: string, credential: string | null = null): Promise<Probe | null> {
  using map = egressMap({ 'http://127.0.0.1:1': url });
  const io = { egress: map.egress, signal: new AbortController().signal, memo: createMemo(), known: false };
  return llamacpp.probe({ ...target, credential }, io);
}

describe('probe', () => {
  test('knows llama.cpp, its version and its slots', async () => {
    await using fake = await fakeEngine('llamacpp', { slots: 3 });
    expect(await probe(fake.url)).toEqual({
      status: 'running-healthy',
      version: expect.stringMatching(/\S/),
      slots: 3,
    });
  });

  test('asks with FLM’s credential and says when it is not enough', async () => {
    await using fake = await fakeEngine('llamacpp', { apiKey: 'sk-engine' });
    expect(await probe(fake.url)).toEqual({ status: 'needs-key' });
    expect(await probe(fake.url, 'wrong')).toEqual({ status: 'needs-key' });
    expect(await probe(fake.url, 'sk-engine')).toMatchObject({ status: 'running-healthy' });
    expect(headerOf(fake, -1, 'authorization')).toBe('Bearer sk-engine');
  });

  const props = { default_generation_settings: { n_ctx: 5 }, total_slots: 2, build_info: 'b1' };
  const answer = (body: unknown, status: number, server: string | null) =>
    new Response(typeof body === 'string' ? body : JSON.stringify(body), {
      status,
      headers: server === null ? {} : { server },
    });

  test.each<[string, unknown, number, string | null, Probe | null]>([
    [
      'behind a proxy, by its settings',
      props,
      200,
      'nginx',
      { status: 'running-healthy', version: 'b1', slots: 2 },
    ],
    [
      'with --no-props, by its name',
      'x',
      501,
      'llama.cpp',
      { status: 'running-healthy', version: null, slots: null },
    ],
    [
      'with odd values',
      { build_info: 5, total_slots: 0 },
      200,
      'llama.cpp',
      { status: 'running-healthy', version: null, slots: null },
    ],
    ['another server that knows /props', { props: true }, 200, 'nginx', null],
    ['a page', '<html>', 200, null, null],
    ['another server that refuses', { error: 'no' }, 401, 'uvicorn', null],
    ['FLM itself', { error: {} }, 404, 'flm', null],
  ])('%s', async (_, body, status, server, expected) => {
    await using stranger = httpStranger(() => answer(body, status, server));
    expect(await probe(stranger.url)).toEqual(expected);
  });
});

describe('listModels', () => {
  async function models(url: string) {
    using map = egressMap({ 'http://127.0.0.1:1': url });
    const io = { egress: map.egress, signal: new AbortController().signal, memo: createMemo(), known: false };
    return llamacpp.listModels(target, io);
  }

  test('has the context that one request may fill, and what is in memory', async () => {
    await using fake = await fakeEngine('llamacpp', { models: ['one.gguf'] });
    expect(await models(fake.url)).toEqual([
      {
        id: 'one.gguf',
        ownedBy: 'llamacpp',
        createdSeconds: expect.any(Number),
        contextLength: expect.any(Number),
        loaded: true,
        capabilities: ['chat', 'completions', 'tools'],
        otherNames: [],
        family: null,
        parameters: '135M',
        quantization: 'Q4_1',
        sizeBytes: 96_576_768,
      },
    ]);
  });

  test('takes the context from the list where /props does not tell, and knows what a router has not loaded', async () => {
    await using stranger = httpStranger((path) =>
      path === '/props'
        ? new Response('', { status: 501 })
        : Response.json({
            data: [{ id: 'loaded', meta: { n_ctx_train: 8_192 } }, { id: 'asleep' }],
          }),
    );
    const list = await models(stranger.url);
    expect(list.map(({ id, contextLength, loaded }) => [id, contextLength, loaded])).toEqual([
      ['loaded', 8_192, true],
      ['asleep', null, false],
    ]);
  });

  test('says ENGINE_API_ERROR while the model loads', async () => {
    await using stranger = httpStranger(() =>
      Response.json({ error: { message: 'Loading model' } }, { status: 503 }),
    );
    expect(await codeOf(() => models(stranger.url))).toBe('ENGINE_API_ERROR');
  });
});

describe('findLlamaServer', () => {
  function program(path: string, script: string): string {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  test('finds it on the PATH, with its version from either stream', async () => {
    using data = testDir();
    const path = program(join(data.dir, 'bin', 'llama-server'), 'echo "version: 5581 (abc123)" >&2');
    const env = { PATH: `/nowhere::${join(data.dir, 'bin')}`, HOME: data.dir };
    expect(await findLlamaServer(env)).toEqual({ path, version: '5581' });
  });

  test('takes the server before the other programs, wherever they are', async () => {
    using data = testDir();
    program(join(data.dir, 'first', 'llama-cli'), 'echo version: 1');
    const path = program(join(data.dir, 'second', 'llama-server'), 'echo version: 2');
    const env = { PATH: `${join(data.dir, 'first')}:${join(data.dir, 'second')}`, HOME: data.dir };
    expect(await findLlamaServer(env)).toEqual({ path, version: '2' });
  });

  test('looks at LLAMA_CPP_PATH, as a folder and as the program itself', async () => {
    using data = testDir();
    const inFolder = program(join(data.dir, 'a', 'llama-server'), 'echo version: 3');
    expect(await findLlamaServer({ PATH: '', HOME: data.dir, LLAMA_CPP_PATH: join(data.dir, 'a') })).toEqual({
      path: inFolder,
      version: '3',
    });
    const odd = program(join(data.dir, 'b', 'my-llama'), 'echo version: 4');
    expect(await findLlamaServer({ PATH: '', HOME: data.dir, LLAMA_CPP_PATH: odd })).toEqual({
      path: odd,
      version: '4',
    });
  });

  test('finds a build in the home directory', async () => {
    using data = testDir();
    const path = program(join(data.dir, 'llama.cpp', 'build', 'bin', 'llama-server'), 'echo hello');
    expect(await findLlamaServer({ PATH: '', HOME: data.dir })).toEqual({ path, version: null });
  });

  test('is installed even when it cannot be run here, and a folder of its name is no program', async () => {
    using data = testDir();
    mkdirSync(join(data.dir, 'bin', 'llama-server'), { recursive: true });
    writeFileSync(join(data.dir, 'bin', 'llama-cli'), 'not a program');
    expect(await findLlamaServer({ PATH: join(data.dir, 'bin'), HOME: data.dir })).toEqual({
      path: join(data.dir, 'bin', 'llama-cli'),
      version: null,
    });
  });

  test('finds nothing where nothing is', async () => {
    using data = testDir();
    const found = await findLlamaServer({
      PATH: data.dir,
      HOME: data.dir,
      LLAMA_CPP_PATH: join(data.dir, 'x'),
    });
    // Somebody may have installed it for everybody on this machine.
    expect(found?.path ?? '/usr/').toMatch(/^\/(?:usr|opt)\//);
  });
});
