/** The security policy of the executable: every way in, while FLM runs and while it does not, and what an editor leaves. */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PolicyView } from '../../src/policy';
import { behindItsBack } from '../support/behind-its-back';
import type { TestDir } from '../support/data-dir';
import { dataOf, errorOf, flm, leftovers, parseFailure, startFlm } from '../support/executable';
import { testHome } from '../support/home';

setDefaultTimeout(60_000);
/** For files that are not FLM's, which has its data directory for itself. */
const scratch = testHome();
afterAll(() => {
  scratch[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

const POLICY = ['security', 'policy'] as const;
const show = async ({ env }: TestDir) => (await dataOf(env, [...POLICY, 'show'])) as PolicyView;

function file(text: string, name = 'policy.json'): string {
  const path = join(scratch.dir, name);
  writeFileSync(path, text);
  return path;
}

/** An editor: a shell script that is handed the file. */
function editor(script: string): string {
  const path = file(`#!/bin/sh\n${script}\n`, 'my editor.sh');
  chmodSync(path, 0o700);
  return `'${path}'`;
}

describe('FLM-024: a policy comes in', () => {
  const text = '{"rate_limit": {"rpm": 7}}';
  const ways: readonly (readonly [string, () => readonly string[], string | null])[] = [
    ['inline', () => ['--json', text], null],
    ['from a path after --json [C4]', () => ['--json', file(text)], null],
    ['from a file', () => ['--file', file(`\uFEFF${text}`)], null],
    ['through a pipe', () => ['-'], text],
    ['through a pipe as a file', () => ['--file', '-'], text],
    ['through a pipe, by its name [C4]', () => ['default'], text],
    ['by its name, inline', () => ['default', '--json', text], null],
  ];
  test.each(ways)('%s', async (_way, words, stdin) => {
    using home = testHome();
    const options = stdin === null ? {} : { stdin };
    const change = await dataOf(home.env, [...POLICY, 'set', ...words()], options);
    expect(change).toMatchObject({ id: 'default', version: 2, document: { rate_limit: { rpm: 7 } } });
    expect(await dataOf(home.env, [...POLICY, 'get', 'default'])).toMatchObject({ version: 2 });
  });

  const refusals: readonly (readonly [readonly string[], string, string | null])[] = [
    [['--json', '{}', '--file', 'x'], 'USAGE_ERROR', null],
    [['--json', '{}', '-'], 'USAGE_ERROR', '{}'],
    [[], 'USAGE_ERROR', '{}'],
    [['policy.json'], 'USAGE_ERROR', null],
    [['--file', '/nowhere/policy.json'], 'INVALID_INPUT', null],
    [['--json', '{"a":'], 'INVALID_INPUT', null],
    [['-'], 'INVALID_INPUT', ''],
    [['-'], 'INVALID_INPUT', '[]'],
    [['--json', '{"rate_limit":{}}'], 'POLICY_INVALID', null],
    [['--json', '{}', '--if-version', '9'], 'POLICY_CONFLICT', null],
  ];
  test.each(refusals)('and %p is refused: %s', async (words, code, stdin) => {
    using home = testHome();
    const options = stdin === null ? {} : { stdin };
    expect(await errorOf(home.env, [...POLICY, 'set', ...words], options)).toMatchObject({ code, exit: 1 });
    expect((await show(home)).version).toBe(1);
  });

  test('and text for people is asked for with --format, since --json takes the policy', async () => {
    using home = testHome();
    const ran = await flm(home.env, [...POLICY, 'set', '--json', text, '--format', 'text']);
    expect(ran.stdout).toBe('Version 2 is in force. Changed: /ip_whitelist, /cors, /rate_limit.\n');
  });
});

describe('validate', () => {
  test('names every mistake and ends with 1; what is valid ends with 0', async () => {
    using home = testHome();
    const bad = await flm(home.env, [
      ...POLICY,
      'validate',
      '--format=text',
      '--json={"rate_limit":{"rpm":-1},"log_level":"x","model":[]}',
    ]);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toContain('✗ /rate_limit/rpm takes a whole number from 0 to 1000000000, not -1');
    expect(bad.stdout).toContain('✗ /log_level takes one of low, medium, high, critical, not "x"');
    const doubtful = await flm(home.env, [
      ...POLICY,
      'validate',
      '--format',
      'text',
      '--json',
      '{"model":[]}',
    ]);
    expect(doubtful).toMatchObject({ code: 0, stdout: expect.stringContaining('did you mean "models"?') });
    expect(await dataOf(home.env, [...POLICY, 'validate'])).toEqual({
      valid: true,
      problems: [],
      warnings: [],
    });
  });
});

describe('edit', () => {
  const edit = (home: TestDir, script: string) =>
    flm({ ...home.env, EDITOR: editor(script), TMPDIR: scratch.dir }, [
      ...POLICY,
      'edit',
      '--note',
      'by hand',
    ]);
  /** Where the work was left, as the hint tells. */
  const keptIn = (hint: string | null) => /What you wrote is in (\S+)\. Mend/.exec(hint ?? '')?.[1] ?? '';

  test('stores what was written, in a file that nobody else can read and that is gone afterwards', async () => {
    using home = testHome();
    const seen = join(scratch.dir, 'seen');
    const ran = await edit(
      home,
      `printf '%s %s' "$1" "$(stat -c %a "$1")" > '${seen}'; printf '{"models": ["a"]}' > "$1"`,
    );
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(await show(home)).toMatchObject({ version: 2, note: 'by hand', document: { models: ['a'] } });
    const [path = '', mode] = readFileSync(seen, 'utf8').split(' ');
    expect(mode).toBe('600');
    expect(existsSync(path)).toBe(false);
  });

  test('changes nothing when nothing was changed', async () => {
    using home = testHome();
    expect(await edit(home, 'true')).toMatchObject({ code: 0, stdout: '{"version":"1.0","data":null}\n' });
    expect((await show(home)).version).toBe(1);
  });

  test.each([
    ['is no JSON', `echo '{' > "$1"`, 'INVALID_INPUT', '{\n'],
    ['is not valid', `echo '{"rate_limit":{}}' > "$1"`, 'POLICY_INVALID', '{"rate_limit":{}}\n'],
    ['is followed by a failure', `echo '{"x":1}' > "$1"; exit 3`, 'INVALID_INPUT', '{"x":1}\n'],
  ])('keeps what was written when it %s', async (_what, script, code, text) => {
    using home = testHome();
    const ran = await edit(home, script);
    const error = parseFailure(ran.stderr);
    expect({ code: error.code, exit: ran.code }).toEqual({ code, exit: 1 });
    expect(readFileSync(keptIn(error.hint), 'utf8')).toBe(text);
    expect(statSync(keptIn(error.hint)).mode & 0o777).toBe(0o600);
    expect((await show(home)).version).toBe(1);
  });

  test('keeps what was written when somebody else was faster', async () => {
    using home = testHome();
    const other = file('{"models":["theirs"]}');
    const program = process.env.FLM_TEST_EXECUTABLE || join(import.meta.dir, '../../dist/flm');
    const ran = await edit(
      home,
      `'${program}' security policy set --file '${other}' > /dev/null; echo '{"models":["mine"]}' > "$1"`,
    );
    const error = parseFailure(ran.stderr);
    expect(error.code).toBe('POLICY_CONFLICT');
    expect(readFileSync(keptIn(error.hint), 'utf8')).toContain('mine');
    expect((await show(home)).document.models).toEqual(['theirs']);
  });
});

describe('while FLM runs', () => {
  test('commands change its policy, a reload tells the version, and a restart forgets nothing', async () => {
    using home = testHome();
    const { env } = home;
    const { stop } = await startFlm(env, ['--port', '0']);
    try {
      expect(await dataOf(env, [...POLICY, 'set', '--json', '{"models":["a"]}'])).toMatchObject({
        version: 2,
      });
      expect(await dataOf(env, ['security', 'ip-whitelist', 'add', '127.0.0.0/8'])).toMatchObject({
        items: ['127.0.0.0/8'],
      });
      expect(await dataOf(env, [...POLICY, 'rollback', '2', '--note', 'back'])).toMatchObject({
        version: 4,
        changed: ['/ip_whitelist'],
      });
      const reloaded = await flm(env, ['proxy', 'reload', '--all', '--format', 'text']);
      expect(reloaded.stdout).toContain('The security policy is version 4.');
      // Somebody with the key of the database.
      await behindItsBack(home, (db) =>
        db.exec(`UPDATE policy_versions SET document_json = '{}' WHERE version = 4`),
      );
      const broken = await flm(env, ['proxy', 'reload', '--all', '--format', 'text']);
      expect(broken.stdout).toContain('The security policy cannot be read, and nobody is let in');
      expect((await errorOf(env, [...POLICY, 'show'])).code).toBe('POLICY_UNREADABLE');
      const check = await flm(env, ['check', '--format', 'text']);
      expect(check.code).toBe(1);
      expect(check.stdout).toContain('version 4 is not as it was written, so nobody is let in');
      expect(await dataOf(env, [...POLICY, 'rollback', '2'])).toMatchObject({ version: 5 });
    } finally {
      await stop();
    }
    expect(await show(home)).toMatchObject({ version: 5, document: { models: ['a'] } });
    const history = await flm(env, [...POLICY, 'history', '--format', 'text']);
    expect(history.stdout).toContain('not as it was written');
    expect(history.stdout).toContain('back · ');
  });
});
