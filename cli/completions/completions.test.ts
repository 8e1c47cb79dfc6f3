import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SETTING_KEYS } from '../../src/config';
import { isMissing, lacksProgram } from '../../test/support/missing';
import { PROGRAM } from '../commands';
import { bashScript } from './bash';
import { fishScript } from './fish';
import { describeTree, walk } from './tree';
import { zshScript } from './zsh';

const root = await describeTree(PROGRAM);
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'flm-completions-'));
  for (const [name, text] of Object.entries({
    bash: bashScript(root),
    zsh: zshScript(root),
    fish: fishScript(root),
  }))
    writeFileSync(join(dir, name), text);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs a shell in the empty directory `work` below ours. */
async function shell(command: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const work = join(dir, 'work');
  mkdirSync(work, { recursive: true });
  const child = Bun.spawn([...command], {
    cwd: work,
    env: { PATH: process.env.PATH, HOME: work, TERM: 'dumb', LC_ALL: 'C.UTF-8' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 15_000,
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}

describe('the tree', () => {
  test('holds every command once, with the global options at every verb', () => {
    const verbs = [...walk(root)].filter((node) => node.children.length === 0);
    expect(new Set(verbs.map((node) => node.path.join(' '))).size).toBe(verbs.length);
    for (const { path, flags } of verbs)
      expect({ path, flags: flags.map((flag) => flag.name) }).toEqual({
        path,
        flags: expect.arrayContaining(['--format', '--json', '--help']),
      });
  });

  test('knows the words that an option or a place takes', () => {
    const find = (name: string) => [...walk(root)].find((node) => node.path.join(' ') === name);
    const wordsOf = (name: string, flag: string) =>
      find(name)?.flags.find((entry) => entry.name === flag)?.words;
    expect(wordsOf('status', '--format')).toEqual(['text', 'json']);
    expect(wordsOf('engines add', '--kind')).toContain('llamacpp');
    expect(wordsOf('engines add', '--url')).toEqual([]);
    expect(find('completions')?.words).toEqual(['bash', 'zsh', 'fish']);
    expect(find('config get')?.words).toEqual([...SETTING_KEYS]);
  });
});

const noBash = isMissing('the completion of bash', lacksProgram('bash'));
describe.skipIf(noBash)('bash', () => {
  /** What TAB offers at the end of a line, as bash splits it: at blanks and at `=`. */
  async function offers(line: string): Promise<string[]> {
    const words = line.split(/ +|(=)/).filter((word) => word !== undefined);
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const { code, out, err } = await shell([
      'bash',
      '--norc',
      '-uc',
      `source ../bash; COMP_WORDS=(${quoted}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _flm flm; printf '%s\\n' "\${COMPREPLY[@]-}"`,
    ]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return out.split('\n').filter((word) => word !== '');
  }

  test.each([
    ['flm ap', ['api-keys']],
    ['flm c', ['config', 'chat', 'check', 'completions']],
    ['flm ', Object.keys(PROGRAM.commands)],
    ['flm x', []],
    ['flm api-keys ', ['create', 'list', 'update', 'rotate', 'collect', 'revoke']],
    ['flm api-keys r', ['rotate', 'revoke']],
    ['flm api-keys create --l', ['--label']],
    [
      'flm up --',
      [
        ...['--port', '--bind', '--allow-plaintext', '--mode', '--https-port'],
        ...['--egress-mode', '--socks5-endpoint', '--egress-fail-open'],
        ...['--try', '--ask', '--format', '--json', '--help'],
      ],
    ],
    ['flm status --format ', ['text', 'json']],
    ['flm status --format t', ['text']],
    ['flm status --format=', ['text', 'json']],
    ['flm status --format=j', ['json']],
    ['flm engines add --kind l', ['lmstudio', 'llamacpp']],
    ['flm completions ', ['bash', 'zsh', 'fish', '--format', '--json', '--help']],
    ['flm completions z', ['zsh']],
    ['flm config get proxy.p', ['proxy.port', 'proxy.ping_interval_ms']],
    // After a word that is no command the options are still those of the command.
    ['flm config set proxy.port 9000 --j', ['--json']],
    ['flm api-keys revoke 4fK2mQ7x --h', ['--help']],
    ['flm api-keys create --label x --e', ['--expires-in']],
    ['flm chat status --s', ['--system', '--stream']],
    // bash itself completes files here.
    ['flm chat --image ', []],
    ['flm up --port ', []],
  ])('%s<TAB>', async (line, expected) => {
    expect(await offers(line)).toEqual(expected);
  });

  test('is registered for flm when it is sourced', async () => {
    const { out } = await shell(['bash', '--norc', '-euc', 'source ../bash; complete -p flm']);
    expect(out).toBe('complete -o default -F _flm flm\n');
  });
});

const noZsh = isMissing('the completion of zsh', lacksProgram('zsh'));
describe.skipIf(noZsh)('zsh', () => {
  test('parses', async () => {
    expect(await shell(['zsh', '-f', '-n', '../zsh'])).toEqual({ code: 0, out: '', err: '' });
  });

  /** What is on a terminal after TAB, up to where `expected` appears. */
  async function screen(line: string, expected: string): Promise<string> {
    const { out, err } = await shell([
      'zsh',
      '-fc',
      `zmodload zsh/zpty
       zpty terminal zsh -f -i
       zpty -w terminal "PS1=; autoload -U compinit; compinit -u -D; source ../zsh; bindkey '^I' complete-word; print rea''dy"
       zpty -r terminal text '*ready*'
       zpty -w -n terminal $'${line}\\t'
       zpty -r terminal text '*${expected}*'
       print -r -- "$text"
       zpty -d terminal`,
    ]);
    expect(err).toBe('');
    return out;
  }

  test.each([
    ['flm engines ', 'FLM with: llama.cpp'],
    ['flm engines add --', 'Where it listens: http://gpu-box'],
  ])('%s<TAB><TAB> says what for, colons and all', async (line, about) => {
    expect(await screen(`${line}\\t`, about)).toContain(about);
  });

  test.each([
    ['flm ap', 'i-keys'],
    ['flm api-keys cr', 'eate'],
    ['flm up --po', 'rt'],
    ['flm completions fi', 'sh'],
    ['flm config get log.l', 'evel'],
    ['flm status --format js', 'on'],
  ])('%s<TAB> adds %s', async (line, added) => {
    expect(await screen(line, added)).toContain(added);
  });
});

const noFish = isMissing('the completion of fish', lacksProgram('fish'));
describe.skipIf(noFish)('fish', () => {
  async function offers(line: string): Promise<string[]> {
    const { code, out, err } = await shell(['fish', '-N', '-c', `source ../fish; complete -C '${line}'`]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return out.split('\n').flatMap((entry) => (entry === '' ? [] : [entry.split('\t')[0] ?? '']));
  }

  test.each([
    ['flm ap', ['api-keys']],
    ['flm api-keys r', ['revoke', 'rotate']],
    ['flm up --po', ['--port']],
    ['flm status --format ', ['json', 'text']],
    ['flm completions z', ['zsh']],
    ['flm config get log.l', ['log.level']],
    ['flm engines add --kind ll', ['llamacpp']],
  ])('%s<TAB>', async (line, expected) => {
    expect((await offers(line)).sort()).toEqual(expected);
  });
});
