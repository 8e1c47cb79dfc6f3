/** `flm chat` through the executable: one question, a pipe, a conversation, and everything that can get in between. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord, parseJson } from '../../src/lib/json';
import { type FakeEngine, startFake } from '../fake';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import {
  dataOf,
  errorOf,
  executable,
  flm,
  leftovers,
  parseFailure,
  type RunningFlm,
  startFlm,
} from '../support/executable';
import { testHome } from '../support/home';
import { CTRL_C, CTRL_D, onTerminal, plain } from '../support/terminal';

setDefaultTimeout(15_000);

const MODEL = 'chat-model';
const SLOW = 'slow-model';
let home: TestDir;
let fake: FakeEngine;
let slow: FakeEngine;
let running: RunningFlm;

beforeAll(async () => {
  home = testHome();
  fake = await startFake('llamacpp', { models: [MODEL] });
  slow = await startFake('openai', { models: [SLOW], tokens: 2_000, tokenDelayMs: 10 });
  await dataOf(home.env, ['engines', 'add', '--kind', 'llamacpp', '--url', fake.url]);
  await dataOf(home.env, ['engines', 'add', '--kind', 'openai', '--url', slow.url]);
  running = await startFlm(home.env);
});
afterEach(() => fake.setFault(null));
afterAll(async () => {
  expect(await running.stop()).toBe(0);
  await Promise.all([fake.close(), slow.close()]);
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

/** A PNG of one pixel. */
const DOT = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const ANSWER = 'The capital of France is Paris.';

/** The body of the last question an engine got. */
function asked(engine: FakeEngine = fake): Record<string, unknown> {
  const body = engine.requests
    .filter(({ method }) => method === 'POST')
    .at(-1)
    ?.body.toString();
  const json = parseJson(body ?? '');
  if (!isRecord(json)) throw new Error('the engine was not asked');
  return json;
}

const chat = (...words: string[]) => ['chat', '--model', MODEL, ...words];

describe('one question', () => {
  test('gets its answer as text', async () => {
    const ran = await flm(home.env, chat('--format', 'text', 'What', 'is', 'the capital?'));
    expect(ran).toEqual({ code: 0, stdout: `${ANSWER}\n`, stderr: '' });
    expect(asked()).toEqual({ model: MODEL, messages: [{ role: 'user', content: 'What is the capital?' }] });
  });

  test('gets it as JSON in a pipe: the whole conversation, and what it cost', async () => {
    const question = { role: 'user', content: 'Hi' };
    const system = { role: 'system', content: 'Be brief.' };
    expect(await dataOf(home.env, chat('-s', 'Be brief.', 'Hi'))).toEqual({
      messages: [system, question, { role: 'assistant', content: ANSWER }],
      usage: expect.objectContaining({ prompt_tokens: expect.any(Number), completion_tokens: 8 }),
    });
    expect(asked().messages).toEqual([system, question]);
  });

  test('streamed, as JSON: the text, in how many pieces it came, what it cost', async () => {
    expect(await dataOf(home.env, chat('--stream', 'Hi'))).toEqual({
      content: ANSWER,
      chunks: 7,
      usage: expect.objectContaining({ completion_tokens: 8 }),
    });
    expect(asked()).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });

  test('streamed, as text: each piece as it comes', async () => {
    const child = Bun.spawn(
      [await executable(), 'chat', '-m', SLOW, '--stream', '--format', 'text', '--max-tokens', '200', 'Hi'],
      {
        env: home.env,
        stdin: 'ignore',
        stdout: 'pipe',
      },
    );
    const pieces: string[] = [];
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) {
      pieces.push(decoder.decode(bytes));
      // Long before the last piece is there.
      if (pieces.length === 3) expect(slow.busy()).toBe(1);
    }
    expect(await child.exited).toBe(0);
    expect(pieces.length).toBeGreaterThan(10);
    expect(pieces.join('')).toStartWith(ANSWER);
    expect(pieces.join('')).toEndWith('\n');
  });

  test('on a terminal is answered as the answer comes, without being asked to', async () => {
    await using terminal = await onTerminal(home.env, ['chat', '-m', SLOW, '--max-tokens', '200', 'Hi']);
    await terminal.screen.until((screen) => screen.includes('The capital'));
    // Long before the last piece is there.
    expect(slow.busy()).toBe(1);
    expect(asked(slow)).toMatchObject({ stream: true });
    expect(await terminal.exited).toBe(0);
    expect(plain(await terminal.screen.whole)).toMatch(/\n\(\d+ tokens in, \d+ out\)\n$/);
  });

  test('that Ctrl-C ends leaves the shell a new line', async () => {
    await using terminal = await onTerminal(home.env, ['chat', '-m', SLOW, 'Hi']);
    await terminal.screen.until((screen) => screen.includes('The capital'));
    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(130);
    expect(await terminal.screen.whole).toEndWith('\r\n');
    await slow.idle();
  });

  test('comes from a pipe, alone or where "-" stands among the words', async () => {
    await dataOf(home.env, ['chat', '-m', MODEL], { stdin: 'Grüße aus der Röhre\n\n' });
    expect(asked().messages).toEqual([{ role: 'user', content: 'Grüße aus der Röhre' }]);
    await dataOf(home.env, chat('Say it', 'in French:', '-'), { stdin: 'hello\nworld\n' });
    expect(asked().messages).toEqual([{ role: 'user', content: 'Say it in French:\n\nhello\nworld' }]);
    await dataOf(home.env, chat('-', 'Say that in French.'), { stdin: 'hello\n' });
    expect(asked().messages).toEqual([{ role: 'user', content: 'hello\n\nSay that in French.' }]);
  });

  test('in words leaves stdin to whoever else reads it', async () => {
    const loop = 'while read -r line; do "$0" chat -m "$1" "$line" || exit 1; done';
    const before = fake.requests.length;
    const child = Bun.spawn(['sh', '-c', loop, await executable(), MODEL], {
      env: home.env,
      stdin: new Blob(['one\ntwo\nthree\n']),
      stdout: 'ignore',
    });
    expect(await child.exited).toBe(0);
    const bodies = fake.requests.slice(before).map(({ body }) => parseJson(body.toString()));
    const said = bodies.flatMap((body) =>
      isRecord(body) && Array.isArray(body.messages) ? body.messages : [],
    );
    expect(said.map((message) => (isRecord(message) ? message.content : null))).toEqual([
      'one',
      'two',
      'three',
    ]);
  });

  test('in words does not wait for a slow program in front of it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const never = new ReadableStream({ pull: () => promise });
    const child = Bun.spawn([await executable(), ...chat('Hi')], {
      env: home.env,
      stdin: never,
      stdout: 'pipe',
    });
    expect(await new Response(child.stdout).text()).toContain(ANSWER);
    expect(await child.exited).toBe(0);
    resolve();
  });

  test('may look like an option behind --', async () => {
    await dataOf(home.env, chat('--', '--help', 'me', '-5'));
    expect(asked().messages).toEqual([{ role: 'user', content: '--help me -5' }]);
  });

  test('goes with what was said about the answer', async () => {
    await dataOf(home.env, chat('--temperature', '0', '--max-tokens=3', 'Hi'));
    expect(asked()).toMatchObject({ temperature: 0, max_tokens: 3 });
  });

  test('goes to the first model there is, or to one engine’s', async () => {
    await dataOf(home.env, ['chat', 'Hi']);
    expect([MODEL, SLOW]).toContain(String(asked().model));
    const models = await dataOf(home.env, ['models', 'list']);
    const items: unknown[] = isRecord(models) && Array.isArray(models.items) ? models.items : [];
    const own = items.filter(isRecord).find((entry) => entry.id === MODEL);
    await dataOf(home.env, ['chat', '-m', String(own?.uri), 'Hi']);
    // The engine is asked by its own name for the model.
    expect(asked().model).toBe(MODEL);
  });

  test('carries images, which the engine need not fetch', async () => {
    const path = join(home.dir, 'dot.png');
    writeFileSync(path, DOT);
    const error = await errorOf(home.env, chat('--image', path, '--image', path, 'What is this?'));
    const url = `data:image/png;base64,${DOT.toString('base64')}`;
    expect(asked().messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url } },
          { type: 'image_url', image_url: { url } },
        ],
      },
    ]);
    // This one has no eyes, and says so in its own words.
    expect(error).toMatchObject({
      exit: 1,
      code: 'ENGINE_API_ERROR',
      message: expect.stringContaining('image input is not supported'),
    });
  });

  test('leaves no key behind', async () => {
    const before = await dataOf(home.env, ['api-keys', 'list']);
    await dataOf(home.env, chat('Hi'));
    expect(await dataOf(home.env, ['api-keys', 'list'])).toEqual(before);
  });
});

describe('what goes wrong', () => {
  test.each([
    [['chat', '--model', 'none', 'Hi'], 'MODEL_NOT_FOUND'],
    [['chat', '--model', 'flm://none/x', 'Hi'], 'ENGINE_NOT_FOUND'],
    [['chat', '--model', '', 'Hi'], 'INVALID_MODEL'],
    [['chat'], 'USAGE_ERROR'],
    [['chat', '   '], 'USAGE_ERROR'],
    [['chat', '--temperature', 'hot', 'Hi'], 'INVALID_INPUT'],
    [['chat', '--temperature', '2.1', 'Hi'], 'INVALID_INPUT'],
    [['chat', '--temperature', '', 'Hi'], 'INVALID_INPUT'],
    [['chat', '--max-tokens', '0', 'Hi'], 'INVALID_INPUT'],
    [['chat', '--max-tokens', '1.5', 'Hi'], 'INVALID_INPUT'],
    [['chat', '--max-tokens', '-1', 'Hi'], 'INVALID_INPUT'],
    [['chat', '--image', '/no/such/file', 'Hi'], 'INVALID_INPUT'],
    [['chat', '--image', '/etc', 'Hi'], 'INVALID_INPUT'],
    [['chat', '--image', '/etc/hostname', 'Hi'], 'INVALID_INPUT'],
    [['chat', '--image-url', 'http://127.0.0.1/cat.png', 'Hi'], 'EGRESS_REFUSED'],
  ])('%j: %s', async (words, code) => {
    expect(await errorOf(home.env, words)).toMatchObject({ code, exit: 1 });
  });

  test('no engine, no FLM', async () => {
    using empty = testHome();
    expect(await errorOf(empty.env, ['chat', 'Hi'])).toMatchObject({ code: 'PROXY_NOT_RUNNING', exit: 1 });
    const alone = await startFlm(empty.env);
    expect(await errorOf(empty.env, ['chat', 'Hi'])).toMatchObject({ code: 'NO_MODELS', exit: 1 });
    expect(await alone.stop()).toBe(0);
  });

  test('an engine that dies while it answers: what came, then the error', async () => {
    fake.setFault({ kind: 'die-mid-stream', afterChunks: 4 });
    const ran = await flm(home.env, chat('--stream', '--format', 'text', 'Hi'));
    expect(ran.code).toBe(1);
    expect(ran.stdout).toStartWith('The capital');
    expect(ran.stderr).toStartWith('Error: The engine "');
    const json = await flm(home.env, chat('--stream', 'Hi'));
    expect(json).toMatchObject({ code: 1, stdout: '' });
    expect(parseFailure(json.stderr).code).toBe('ENGINE_NETWORK_ERROR');
  });

  test('Ctrl-C ends it with 130, and the engine is free', async () => {
    for (const words of [['--stream'], []]) {
      const child = Bun.spawn([await executable(), 'chat', '-m', SLOW, ...words, 'Hi'], {
        env: home.env,
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      });
      await eventually(() => slow.busy() === 1);
      child.kill('SIGINT');
      expect(await child.exited).toBe(130);
      expect(await new Response(child.stderr).text()).toBe('');
      await slow.idle();
    }
  });

  test('a reader that has had enough is no error', async () => {
    const script = `"$0" chat -m ${MODEL} --stream --format text Hi | head -c 3`;
    const shell = Bun.spawn(['bash', '-c', script, await executable()], {
      env: home.env,
      stdout: 'pipe',
      stderr: 'pipe',
    });
    expect(await new Response(shell.stdout).text()).toBe('The');
    expect(await new Response(shell.stderr).text()).toBe('');
  });
});

describe('a conversation', () => {
  const prompts = (screen: string) => plain(screen).split('> ').length - 1;

  test('remembers what was said, until Ctrl-D', async () => {
    await using terminal = await onTerminal(home.env, chat('--system', 'Be brief.'));
    await terminal.screen.until((screen) => prompts(screen) === 1);
    terminal.type('first\r');
    await terminal.screen.until((screen) => prompts(screen) === 2);
    terminal.type('\r');
    await terminal.screen.until((screen) => prompts(screen) === 3);
    terminal.type('second\r');
    await terminal.screen.until((screen) => prompts(screen) === 4);
    terminal.type(CTRL_D);
    expect(await terminal.exited).toBe(0);
    expect(plain(await terminal.screen.whole)).toContain(`> first\n${ANSWER}\n`);
    expect(asked().messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'first' },
      { role: 'assistant', content: ANSWER },
      { role: 'user', content: 'second' },
    ]);
  });

  test.each([
    ['/exit\r', 0],
    ['/quit\r', 0],
    [CTRL_D, 0],
    [CTRL_C, 130],
  ])('ends with %j at the prompt, and leaves the shell a new line', async (end, code) => {
    await using terminal = await onTerminal(home.env, chat());
    await terminal.screen.until((screen) => prompts(screen) === 1);
    terminal.type(end);
    expect(await terminal.exited).toBe(code);
    expect(plain(await terminal.screen.whole)).toEndWith('\n');
  });

  test('explains itself to /help, which no model hears of', async () => {
    await using terminal = await onTerminal(home.env, chat());
    await terminal.screen.until((screen) => prompts(screen) === 1);
    const before = fake.requests.length;
    terminal.type('/help\r');
    await terminal.screen.until((screen) => prompts(screen) === 2);
    expect(plain(terminal.screen.text())).toContain('Ctrl-C stops an answer.');
    expect(fake.requests.slice(before).filter(({ method }) => method === 'POST')).toEqual([]);
    terminal.type(CTRL_D);
    expect(await terminal.exited).toBe(0);
  });

  test('with a model that nobody has is none', async () => {
    await using terminal = await onTerminal(home.env, ['chat', '-m', 'nope']);
    expect(await terminal.exited).toBe(1);
    const screen = plain(await terminal.screen.whole);
    expect(screen).toContain('No running engine has the model "nope".');
    expect(screen).not.toContain('> ');
  });

  test('carries images with the first message', async () => {
    const path = join(home.dir, 'first.png');
    writeFileSync(path, DOT);
    await using terminal = await onTerminal(home.env, [
      'chat',
      '-m',
      SLOW,
      '--max-tokens',
      '3',
      '--image',
      path,
    ]);
    await terminal.screen.until((screen) => prompts(screen) === 1);
    expect(plain(terminal.screen.text())).toContain('Your first message carries 1 image.\n');
    terminal.type('look\r');
    await terminal.screen.until((screen) => prompts(screen) === 2);
    terminal.type('and?\r');
    await terminal.screen.until((screen) => prompts(screen) === 3);
    expect(asked(slow).messages).toMatchObject([
      { role: 'user', content: [{ type: 'text', text: 'look' }, { type: 'image_url' }] },
      { role: 'assistant' },
      { role: 'user', content: 'and?' },
    ]);
    terminal.type(CTRL_D);
    expect(await terminal.exited).toBe(0);
  });

  test('goes on after Ctrl-C stopped an answer, and after an error', async () => {
    await using terminal = await onTerminal(home.env, ['chat', '-m', SLOW]);
    await terminal.screen.until((screen) => prompts(screen) === 1);
    terminal.type('tell me everything\r');
    await terminal.screen.until((screen) => screen.includes('The capital'));
    terminal.type(CTRL_C);
    await terminal.screen.until((screen) => prompts(screen) === 2);
    await slow.idle();
    slow.setFaultOnce({ kind: 'status-503' });
    terminal.type('again\r');
    await terminal.screen.until((screen) => prompts(screen) === 3);
    expect(plain(terminal.screen.text())).toContain('Error: ');
    terminal.type('and now\r');
    await eventually(() => slow.busy() === 1);
    // Neither of the two is part of what the model is told.
    expect(asked(slow).messages).toEqual([{ role: 'user', content: 'and now' }]);
    terminal.type(CTRL_C);
    await terminal.screen.until((screen) => prompts(screen) === 4);
    terminal.type(CTRL_D);
    expect(await terminal.exited).toBe(0);
    await slow.idle();
  });

  test('is ended by a signal, also in the middle of an answer', async () => {
    for (const line of ['', 'tell me everything\r']) {
      await using terminal = await onTerminal(home.env, ['chat', '-m', SLOW]);
      await terminal.screen.until((screen) => prompts(screen) === 1);
      terminal.type(line);
      if (line !== '') await eventually(() => slow.busy() === 1);
      process.kill(terminal.pid, 'SIGTERM');
      expect(await terminal.exited).toBe(130);
      await slow.idle();
    }
  });
});
