/** What comes from outside reaches a terminal as text: no title, no clipboard, no moved cursor; and no secret comes back. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { makeKey } from '../../src/admission/key-format';
import { chat } from '../support/client';
import type { TestDir } from '../support/data-dir';
import { dataOf, flm, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { httpStranger, type Stranger } from '../support/strangers';
import { CTRL_C, CTRL_D, onTerminal } from '../support/terminal';

setDefaultTimeout(20_000);

/** Sets the title, writes the clipboard, clears the screen with a C1 byte, and rings. */
const EVIL = '\u001B]0;owned\u0007\u001B]52;c;b3duZWQ=\u0007\u009B2J\u009D0;owned\u009C\u007F\u0008';
/** What FLM itself never writes to a terminal. */
const OBEYED = ['\u001B]', '\u0007', '\u0008', '\u007F', '\u009B', '\u009C', '\u009D'];
const obeyed = (screen: string) => OBEYED.filter((sequence) => screen.includes(sequence));
const MODEL = `evil-${EVIL}`;

let home: TestDir;
let engine: Stranger;
let running: RunningFlm;
let failing = false;

/** An engine with a bad tongue: its model's name, its words and its errors. */
function answer(path: string): Response {
  if (path === '/v1/models') return Response.json({ object: 'list', data: [{ id: MODEL, object: 'model' }] });
  if (path !== '/v1/chat/completions') return new Response('', { status: 404 });
  if (failing) return Response.json({ error: { message: `no ${EVIL} way` } }, { status: 400 });
  // Each character on its own: no sequence is whole in any piece.
  const pieces = [...`Hello ${EVIL} world`].map((content) => ({
    choices: [{ index: 0, delta: { content } }],
  }));
  const frames = [...pieces.map((piece) => JSON.stringify(piece)), '[DONE]'];
  return new Response(frames.map((frame) => `data: ${frame}\n\n`).join(''), {
    headers: { 'content-type': 'text/event-stream' },
  });
}

beforeAll(async () => {
  home = testHome();
  engine = httpStranger(answer);
  await dataOf(home.env, ['engines', 'add', '--kind', 'openai', '--url', engine.url, '--id', 'evil']);
  await dataOf(home.env, ['api-keys', 'create', '--label', `label ${EVIL}`]);
  running = await startFlm(home.env);
});
afterAll(async () => {
  expect(await running.stop()).toBe(0);
  await engine[Symbol.asyncDispose]();
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

describe('a terminal obeys nothing', () => {
  test.each([
    [['chat', 'Hi'], 'Hello'],
    [['models', 'list'], 'evil-'],
    [['models', 'show', MODEL], 'evil-'],
    [['models', 'show', `none-${EVIL}`], 'none-'],
    [['engines', 'list'], 'evil'],
    [['api-keys', 'list'], 'label'],
    [['api-keys', 'create', '--label', `new ${EVIL}`], 'new'],
    [['config', 'get', `x${EVIL}`], 'x'],
    [['chat', '--model', `no-${EVIL}`, 'Hi'], 'no-'],
    [['status', EVIL], 'Error'],
    [[EVIL], 'Error'],
    [['status', `--${EVIL}`], 'Error'],
    [['check', '--verbose'], 'evil'],
  ])('of what %j shows', async (words, shown) => {
    await using terminal = await onTerminal(home.env, words);
    await terminal.exited;
    const screen = await terminal.screen.whole;
    expect(screen).toContain(shown);
    expect(obeyed(screen)).toEqual([]);
  });

  test('of what an engine says is wrong', async () => {
    failing = true;
    try {
      await using terminal = await onTerminal(home.env, ['chat', 'Hi']);
      expect(await terminal.exited).toBe(1);
      expect(await terminal.screen.whole).toMatch(/no \uFFFD.* way/);
      expect(obeyed(terminal.screen.text())).toEqual([]);
    } finally {
      failing = false;
    }
  });

  test('of a conversation: its model, its answers, its errors', async () => {
    await using terminal = await onTerminal(home.env, ['chat']);
    await terminal.screen.until((screen) => screen.includes('Talking to evil-') && screen.includes('> '));
    terminal.type('Hi\r');
    await terminal.screen.until((screen) => screen.includes('world'));
    failing = true;
    terminal.type('Again\r');
    await terminal.screen.until((screen) => screen.includes(' way'));
    failing = false;
    terminal.type(CTRL_D);
    expect(await terminal.exited).toBe(0);
    expect(obeyed(await terminal.screen.whole)).toEqual([]);
  });

  test('of the banner, whose request can be pasted', async () => {
    using own = testHome();
    await dataOf(own.env, ['engines', 'add', '--kind', 'openai', '--url', engine.url, '--id', 'evil']);
    await using terminal = await onTerminal(own.env, ['up', '--port', '0']);
    const banner = await terminal.screen.until((screen) => screen.includes('Stop it with Ctrl-C'));
    const body = /-d '(.*)'/.exec(banner.replaceAll('\r\n', ''))?.[1] ?? '';
    expect(JSON.parse(body)).toMatchObject({ model: MODEL });
    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(0);
    expect(obeyed(await terminal.screen.whole)).toEqual([]);
  });
});

test('what is piped is as the model said it', async () => {
  const ran = await flm(home.env, ['chat', '--stream', '--format', 'text', 'Hi']);
  expect(ran.stdout).toBe(`Hello ${EVIL} world\n`);
  expect((await chat(running.url, { key: running.key, model: MODEL })).status).not.toBe(500);
});

test('the credential of an engine in an address that is none is not shown', async () => {
  const ran = await flm(home.env, ['engines', 'add', '--url', 'http://sk-strangersOwnSecret1234567890@[bad']);
  expect(ran.code).toBe(1);
  expect(ran.stderr).not.toContain('strangersOwnSecret');
});

describe('a key that was pasted where it does not belong is not shown', () => {
  const { plain } = makeKey();
  const secret = plain.slice(-20);

  test.each([
    ['in place of a command', [plain]],
    ['behind a command that takes no word', ['status', plain]],
    ['behind a command that wants an option', ['api-keys', 'create', plain]],
    ['as an option', ['status', `--${plain}`]],
    ['as an option with a value', ['status', `--${plain}=1`]],
    ['as a format', ['status', '--format', plain]],
    ['as an id of a key', ['api-keys', 'revoke', plain]],
    ['as a key to rotate', ['api-keys', 'rotate', plain]],
    ['as a lifetime', ['api-keys', 'create', '--label', 'x', '--expires-in', plain]],
    ['as a scope', ['api-keys', 'create', '--label', 'x', '--scope', plain]],
    ['as a setting', ['config', 'get', plain]],
    ['as the value of a setting', ['config', 'set', 'proxy.port', plain]],
    ['as an engine', ['engines', 'remove', plain]],
    ['as the kind of an engine', ['engines', 'add', '--kind', plain, '--url', 'http://127.0.0.1:9']],
    ['as the address of an engine', ['engines', 'add', '--url', plain]],
    ['inside the address of an engine', ['engines', 'add', '--url', `http://${plain}@[bad`]],
    [
      'as the variable that holds a key',
      ['engines', 'add', '--url', 'http://127.0.0.1:9', '--key-env', plain],
    ],
    ['as a model', ['models', 'show', plain]],
    ['as the model to talk to', ['chat', '--model', plain, 'Hi']],
    ['as an alias', ['models', 'alias', 'remove', plain]],
    ['as a port', ['up', '--port', plain]],
    ['as an address to listen on', ['up', '--bind', plain]],
  ])('%s', async (_, words) => {
    for (const format of [[], ['--format=text']]) {
      const ran = await flm(home.env, [...words, ...(words.includes('--format') ? [] : format)]);
      expect(ran.code).not.toBe(0);
      expect(ran.stderr).not.toBe('');
      expect(`${ran.stdout}${ran.stderr}`).not.toContain(secret);
    }
  });
});
