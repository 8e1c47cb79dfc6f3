/**
 * A session with keys of all fates and an engine's credential, and then a search (issue #3, point 6): nothing of them is in
 * any file, in any output but the one that shows a new key, or in what `ps` shows.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../src/lib/json';
import type { Env } from '../../src/lib/paths';
import { type FakeEngine, startFake } from '../fake';
import { chat, codeOf, eventsOf } from '../support/client';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { flm, leftovers, parseResult, type Ran, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { processesWith } from '../support/processes';

setDefaultTimeout(30_000);

const CREDENTIAL = 'engine-credential-Zq7xWvUt';
const PROMPT = 'prompt-that-nobody-else-may-read';
/** What a stranger tries: the key of somebody else's service, and one of ours that was mistyped. */
const STRANGE = ['sk-strangersOwnSecret1234567890', `flm_abcdefgh${'S'.repeat(32)}zzzzzz`];

let home: TestDir;
let env: Env;
let guarded: FakeEngine;
let slow: FakeEngine;
let running: RunningFlm;
/** Plain keys by what they are. */
const keys: Record<string, string> = {};
/** Everything that was said, by whom. */
const said: { readonly by: string; readonly text: string }[] = [];
/** Arguments and environments of FLM's processes, seen at different moments. */
const seen: string[] = [];
/** Bytes of the data directory while FLM ran, with its journals, by file. */
let live: Map<string, Buffer>;

/** Runs a command; what it shows is kept, but for the one place where a new key belongs. */
async function run(words: readonly string[], extra: Env = {}, stdin = ''): Promise<Ran> {
  const ran = await flm({ ...env, ...extra }, words, { stdin });
  const shows = words[0] === 'api-keys' && (words[1] === 'create' || words[1] === 'rotate');
  said.push({ by: `flm ${words.slice(0, 2).join(' ')}: stderr`, text: ran.stderr });
  if (!shows) said.push({ by: `flm ${words.slice(0, 2).join(' ')}: stdout`, text: ran.stdout });
  return ran;
}

async function key(name: string, words: readonly string[]): Promise<string> {
  const data = parseResult((await run(words)).stdout);
  if (!isRecord(data)) throw new Error('no key');
  keys[name] = String(data.plain_key);
  return String(data.id);
}

/** Keeps what an answer says, headers included. */
async function tell(by: string, response: Response): Promise<string> {
  const body = await response.clone().text();
  said.push({ by, text: `${JSON.stringify([...response.headers])}\n${body}` });
  return codeOf(response);
}

function look(): void {
  const marked = processesWith(home.dir).filter(({ command }) => !command.includes('bun test'));
  for (const { command, environment } of marked) seen.push([command, ...environment].join('\n'));
}

function readAll(): Map<string, Buffer> {
  const files = readdirSync(home.dir, { recursive: true }).map(String);
  const plain = files.filter((file) => statSync(join(home.dir, file)).isFile());
  return new Map(plain.map((file) => [file, readFileSync(join(home.dir, file))]));
}

beforeAll(async () => {
  home = testHome({ FLM_LOG_LEVEL: 'debug' });
  env = home.env;
  guarded = await startFake('openai', { models: ['guarded'], apiKey: CREDENTIAL });
  slow = await startFake('llamacpp', { models: ['slow'], tokens: 2_000, tokenDelayMs: 10 });
  running = await startFlm(env);
  keys.first = running.key;
  const { url } = running;

  await run(
    [
      'engines',
      'add',
      '--kind',
      'openai',
      '--url',
      guarded.url,
      '--id',
      'guarded',
      '--key-env',
      'ENGINE_KEY',
    ],
    {
      ENGINE_KEY: CREDENTIAL,
    },
  );
  await run(
    ['engines', 'add', '--kind', 'openai', '--url', guarded.url, '--id', 'again', '--key-env', 'ENGINE_KEY'],
    {
      ENGINE_KEY: CREDENTIAL,
    },
  );
  await run(['engines', 'add', '--kind', 'openai', '--url', `http://user:${CREDENTIAL}@127.0.0.1:9`]);
  await run(['engines', 'add', '--kind', 'openai', '--url', `http://127.0.0.1:9/?api_key=${CREDENTIAL}`]);
  await run(['engines', 'add', '--kind', 'llamacpp', '--url', slow.url, '--id', 'slow']);

  await key('used', ['api-keys', 'create', '--label', 'used']);
  const rotated = await key('rotated', ['api-keys', 'create', '--label', 'rotated']);
  await key('rotatedInto', ['api-keys', 'rotate', rotated, '--grace', '1h']);
  const revoked = await key('revoked', ['api-keys', 'create', '--label', 'revoked']);
  await run(['api-keys', 'revoke', revoked]);
  await key('limited', ['api-keys', 'create', '--label', 'limited', '--model', 'something-else']);

  for (const [name, plain] of Object.entries(keys)) {
    for (const stream of [false, true]) {
      const response = await chat(url, { key: plain, model: 'guarded', stream, content: PROMPT });
      await tell(`chat with ${name}`, response);
    }
  }
  for (const strange of STRANGE) {
    expect(await tell('a strange key', await chat(url, { key: strange, model: 'guarded' }))).toBe(
      '401 invalid_api_key',
    );
  }

  // Keys where they do not belong.
  const { used = '' } = keys;
  const misplaced: readonly [string, RequestInit][] = [
    [`/v1/models?api_key=${used}`, {}],
    [`/v1/${used}`, { headers: { authorization: `Bearer ${used}` } }],
    [`/${used}`, {}],
    [`/v1/models/${used}`, { headers: { authorization: 'Bearer wrong' } }],
    ['/v1/models', { headers: { 'x-api-key': used } }],
    ['/v1/models', { headers: { authorization: `Basic ${btoa(`user:${used}`)}` } }],
    ['/v1/models', { headers: { authorization: used } }],
    ['/v1/models', { headers: { authorization: `Bearer ${used}, Bearer ${STRANGE[0]}` } }],
    ['/v1/models', { headers: { cookie: `token=${used}` } }],
    [
      '/v1/chat/completions',
      { method: 'POST', headers: { authorization: `Bearer ${used}` }, body: `{"model": "${PROMPT}` },
    ],
  ];
  // Whoever sends a path gets it back; everybody else must not.
  for (const [path, init] of misplaced) {
    const response = await fetch(url + path, init);
    if (!path.includes(used)) await tell(`${path.slice(0, 20)} misplaced`, response);
  }

  // A credential that the engine does not take, and an engine that is gone.
  await run(['engines', 'remove', 'guarded']);
  await run(
    [
      'engines',
      'add',
      '--kind',
      'openai',
      '--url',
      guarded.url,
      '--id',
      'guarded',
      '--key-env',
      'ENGINE_KEY',
    ],
    {
      ENGINE_KEY: `${CREDENTIAL}-wrong`,
    },
  );
  await run(['engines', 'list']);
  await tell(
    'a wrong credential',
    await chat(url, { key: used, model: 'flm://guarded/guarded', content: PROMPT }),
  );
  await guarded.close();
  await tell(
    'an engine that is gone',
    await chat(url, { key: used, model: 'flm://guarded/guarded', content: PROMPT }),
  );

  // Processes, while a question is being asked in each way.
  look();
  const asking = run(['chat', '--model', 'slow', '--max-tokens', '50'], {}, PROMPT);
  const stream = await chat(url, { key: used, model: 'slow', stream: true, content: PROMPT });
  await eventually(() => slow.busy() === 2);
  look();
  live = readAll();
  expect((await asking).code).toBe(0);
  await run(['chat', '--stream', '--model', 'slow', '--max-tokens', '3', '--system', PROMPT, 'word']);
  for (const words of [
    ['status'],
    ['check', '--verbose'],
    ['config', 'list'],
    ['engines', 'list'],
    ['api-keys', 'list'],
  ]) {
    await run(words);
    await run([...words, '--format', 'text']);
  }
  look();
  const events = eventsOf(stream);
  expect(await running.stop()).toBe(0);
  said.push({ by: 'a stream that was ended', text: (await events).events.at(-1) ?? '' });
  said.push({ by: 'flm up: stderr', text: running.stderr.text() });
});

afterAll(async () => {
  await slow.close();
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

/** A text in every spelling it could have got somewhere in. */
function spellings(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  // Base64 of a text depends on where in it groups of three begin; what lies at the edges depends on the neighbours.
  const base64 = [0, 1, 2].map((skip) => bytes.subarray(skip).toString('base64').slice(0, -4));
  return [
    bytes,
    Buffer.from(text, 'utf16le'),
    Buffer.from(bytes.toString('hex')),
    ...base64.map((coded) => Buffer.from(coded)),
  ];
}

/** What must be nowhere: by its name, in all spellings. */
function secrets(): [string, Buffer[]][] {
  const parts = Object.entries(keys).map(([name, plain]): [string, string] => [
    `key ${name}`,
    plain.slice(12, 44),
  ]);
  const all: [string, string][] = [
    ...parts,
    ['credential', CREDENTIAL],
    ...STRANGE.map((text): [string, string] => ['strange key', text.slice(12)]),
  ];
  return all.map(([name, text]) => [name, spellings(text)]);
}

/** Which secrets are in which bytes. */
function finds(places: Iterable<readonly [string, Buffer]>): string[] {
  const all = secrets();
  return [...places].flatMap(([place, bytes]) =>
    all
      .filter(([, texts]) => texts.some((text) => bytes.includes(text)))
      .map(([name]) => `${name} in ${place}`),
  );
}

test('the session was one: keys of all fates, requests that worked and that did not', () => {
  expect(Object.keys(keys)).toEqual(['first', 'used', 'rotated', 'rotatedInto', 'revoked', 'limited']);
  for (const plain of Object.values(keys)) expect(plain).toMatch(/^flm_[0-9A-Za-z]{46}$/);
  const text = said.map((each) => each.text).join('\n');
  for (const proof of [
    'it does not accept its key',
    'engine_needs_key',
    'invalid_api_key',
    'model_not_allowed',
    'ENGINE_URL_REFUSED',
    '"level":"debug"',
  ])
    expect({ proof, there: text.includes(proof) }).toEqual({ proof, there: true });
  // The search finds what is there: in every spelling it knows.
  const control = ['x', 'yy', 'zzz'].map((prefix) =>
    Buffer.from(`${prefix}${CREDENTIAL}..`).toString('base64'),
  );
  for (const place of [CREDENTIAL, Buffer.from(CREDENTIAL).toString('hex'), ...control])
    expect(finds([['control', Buffer.from(place)]])).toEqual(['credential in control']);
});

describe('nothing secret', () => {
  test('is in a file, while FLM runs and after it', () => {
    expect([...live.keys()]).toEqual(
      expect.arrayContaining(['config.db', 'config.db-wal', 'security.db', 'security.db-wal']),
    );
    expect(finds(live)).toEqual([]);
    expect(finds(readAll())).toEqual([]);
  });

  test('is in any output or answer', () => {
    expect(finds(said.map(({ by, text }) => [by, Buffer.from(text)] as const))).toEqual([]);
  });

  test('is in what ps shows', () => {
    if (process.platform === 'linux') expect(seen.length).toBeGreaterThan(3);
    const places = seen
      .filter((text) => !text.includes('ENGINE_KEY='))
      .map((text) => ['a process', Buffer.from(text)] as const);
    expect(finds(places)).toEqual([]);
    expect(seen.join('\n')).not.toContain('FLM_DATABASE_PASSPHRASE');
  });

  test('of a conversation is in a file, a log or what ps shows', () => {
    for (const [name, bytes] of [...live, ...readAll()])
      expect({ name, found: bytes.includes(PROMPT) }).toEqual({ name, found: false });
    expect(running.stderr.text()).not.toContain(PROMPT);
    // The one who typed it as an argument has it there.
    for (const text of seen) if (!text.includes('--system')) expect(text).not.toContain(PROMPT);
  });
});

describe('security.db', () => {
  test('holds no word that could be read, nor does its journal', () => {
    for (const file of ['security.db', 'security.db-wal']) {
      const bytes = live.get(file) ?? Buffer.alloc(0);
      expect(bytes.length).toBeGreaterThanOrEqual(4_096);
      for (const word of [
        'SQLite format 3',
        'CREATE TABLE',
        'api_keys',
        'engine_credentials',
        'installation',
        'guarded',
        'rotated',
      ])
        expect({ file, word, found: bytes.includes(word) }).toEqual({ file, word, found: false });
    }
  });

  test('config.db is the plain one: what is searched for there is found', () => {
    const bytes = Buffer.concat([
      live.get('config.db') ?? Buffer.alloc(0),
      live.get('config.db-wal') ?? Buffer.alloc(0),
    ]);
    for (const word of ['SQLite format 3', 'CREATE TABLE', 'guarded'])
      expect(bytes.includes(word)).toBe(true);
  });

  test('its key is in its file and nowhere else', () => {
    const files = readAll();
    const key = files.get('security.key')?.toString().trim() ?? '';
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    const places = [
      ...[...files].filter(([name]) => name !== 'security.key'),
      ...said.map(({ by, text }) => [by, Buffer.from(text)] as const),
      ...seen.map((text) => ['a process', Buffer.from(text)] as const),
    ];
    for (const [place, bytes] of places) {
      const found = bytes.includes(key) || bytes.includes(Buffer.from(key, 'hex'));
      expect({ place, found }).toEqual({ place, found: false });
    }
  });
});

test('a stranger’s 100 MB are refused by their headers, and not read', async () => {
  using other = testHome();
  await using flmUp = await startFlm(other.env);
  const { port } = new URL(flmUp.url);
  const total = 100_000_000;
  const piece = Buffer.alloc(64 * 1024, 'x');
  const closed = Promise.withResolvers<void>();
  let answer = '';
  let sent = 0;
  const send = (socket: Bun.Socket) => {
    for (let took = piece.length; took === piece.length && sent < total; ) {
      took = socket.write(piece);
      sent += Math.max(0, took);
    }
  };
  await Bun.connect({
    hostname: '127.0.0.1',
    port: Number(port),
    socket: {
      open(socket) {
        socket.write(
          `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${total}\r\nAuthorization: Bearer ${STRANGE[1]}\r\n\r\n`,
        );
        send(socket);
      },
      drain: send,
      data: (_, bytes) => {
        answer += bytes.toString();
      },
      close: () => closed.resolve(),
      error: () => closed.resolve(),
    },
  });
  await closed.promise;
  expect(answer).toStartWith('HTTP/1.1 401 ');
  expect(answer.toLowerCase()).toContain('connection: close');
  console.log(`      refused after ${(sent / 1e6).toFixed(1)} MB had left the client`);
  expect(sent).toBeLessThan(total / 4);
  expect(await flmUp.stop()).toBe(0);
});
