/** What FLM does once it listens: looks whether this machine trusts its root, says so once, or sees to it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../src/lib/log';
import { openTestCerts, type TestCerts } from '../../test/support/certs';
import type { AuthorityMode } from '../model';
import { createTrustCheck, isAutoInstall } from './at-start';
import type { TrustMachine } from './machine';

const ANCHORS = 'usr/local/share/ca-certificates';
const BUNDLE = 'etc/ssl/certs/ca-certificates.crt';
const HINT = 'this machine does not trust the root of FLM yet: flm security install-ca';

let dir: string;
let box: TestCerts;
let lines: string[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'flm-at-start-'));
  for (const folder of [ANCHORS, 'etc/ssl/certs', 'home']) mkdirSync(join(dir, folder), { recursive: true });
  box = await openTestCerts();
  lines = [];
});
afterEach(async () => {
  await box[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const write = (level: string) => (message: string, facts?: Readonly<Record<string, unknown>>) =>
  void lines.push(
    `${level} ${message}${facts?.result === undefined ? '' : ` ${facts.store} ${facts.result}`}`,
  );
const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };

/** Debian, in a folder. */
function machine(uid = 0): TrustMachine {
  return {
    platform: 'linux',
    uid,
    home: join(dir, 'home'),
    root: dir,
    asRoot: 'sudo flm security install-ca',
    has: (program) => program === 'update-ca-certificates',
    async run() {
      const files = readdirSync(join(dir, ANCHORS)).map((name) => readFileSync(join(dir, ANCHORS, name)));
      writeFileSync(join(dir, BUNDLE), Buffer.concat(files));
      return { code: 0, output: '' };
    },
  };
}

/** One start of FLM; what it said. */
async function start(isAuto = false, on: TrustMachine = machine(), mode: AuthorityMode = 'packaged-ca') {
  lines = [];
  const check = createTrustCheck({
    certs: box.certs,
    dir: join(dir, 'certs'),
    isAuto,
    machine: () => on,
    log,
  });
  check.begin(mode);
  check.begin(mode);
  await check.close();
  return lines;
}

describe('FLM-094: a machine that does not trust the root', () => {
  test('is told so once for each root, and again when trust was there and has gone', async () => {
    await box.certs.createCa({});
    expect(await start()).toEqual([`info ${HINT}`]);
    expect(await start()).toEqual([]);
    await box.certs.rotateCa({ overlap_s: 0 });
    expect(await start()).toEqual([`info ${HINT}`]);
    await start(true);
    expect(await start()).toEqual([]);
    rmSync(join(dir, BUNDLE));
    expect(await start()).toEqual([`info ${HINT}`]);
  });

  test('is made to trust it where the owner has said so, once, with a line for each store', async () => {
    await box.certs.createCa({});
    const added = 'info the root of FLM and a store of this machine system (Debian) added';
    expect(await start(true)).toEqual([added]);
    expect(readdirSync(join(dir, ANCHORS)).length).toBe(1);
    expect(await start(true)).toEqual([]);
    // The next root takes the place of the one that has ended.
    await box.certs.rotateCa({ overlap_s: 0 });
    expect(await start(true)).toEqual([added]);
    expect(readdirSync(join(dir, ANCHORS)).length).toBe(1);
  });

  test('and may not be changed by this user says what became of it', async () => {
    await box.certs.createCa({});
    expect(await start(true, machine(1_000))).toEqual([
      'warn the root of FLM and a store of this machine system (Debian) failed',
    ]);
  });

  test('whose store FLM does not know is left alone', async () => {
    await box.certs.createCa({});
    expect(await start(false, { ...machine(), has: () => false })).toEqual([]);
  });
});

test('nothing is looked at before there is a root, and for roots that the owner hands out', async () => {
  expect(await start()).toEqual([]);
  await box.certs.createCa({ mode: 'dev-selfsigned' });
  expect(await start(true, machine(), 'dev-selfsigned')).toEqual([]);
  expect(existsSync(join(dir, 'certs'))).toBe(false);
});

test.each([
  [undefined, false],
  ['', false],
  ['0', false],
  ['No', false],
  ['off', false],
  ['1', true],
  ['true', true],
  [' yes ', true],
])('FLM_AUTO_INSTALL_CA=%p means %p', (value, is) => {
  expect(isAutoInstall(value)).toBe(is);
});
