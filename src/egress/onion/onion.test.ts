import { describe, expect, test } from 'bun:test';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../../test/support/eventually';
import { thrown } from '../../../test/support/rejected';
import { listenTcp } from '../../../test/support/tcp';
import { systemClock } from '../../lib/clock';
import { connectControl } from './control';
import { createOnions } from './index';
import type { OnionStore } from './store';

const COOKIE = Buffer.alloc(32, 7);
const ID = 'a'.repeat(56);

interface FakeTor extends AsyncDisposable {
  readonly endpoint: string;
  /** Commands after the proof of who asks. */
  readonly commands: string[];
  /** Everything that was ever said to it. */
  readonly heard: string[];
  cut(): void;
}

interface FakeTorOptions {
  readonly port?: number;
  readonly methods?: string;
  /** What it wrote into its cookie file. */
  readonly file?: Buffer;
  /** What it proves with. */
  readonly cookie?: Buffer;
  readonly password?: string;
  /** Answers of ADD_ONION, by its first word after the command. */
  readonly refuses?: () => string | null;
}

/** The control port of a tor: as much of it as FLM talks to. */
async function fakeTor(options: FakeTorOptions = {}): Promise<FakeTor> {
  const { methods = 'COOKIE,SAFECOOKIE', file = COOKIE, cookie = COOKIE, password } = options;
  const dir = mkdtempSync(join(tmpdir(), 'flm-tor-'));
  const path = join(dir, 'control "cookie"');
  writeFileSync(path, file);
  const commands: string[] = [];
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  let made = 0;
  const server = await listenTcp(
    (socket) => {
      sockets.add(socket);
      let isKnown = false;
      let proof = '';
      const say = (text: string) => socket.write(text.replaceAll('\n', '\r\n'));
      socket.on('data', (data) => {
        for (const line of data.toString().split('\r\n').filter(Boolean)) {
          heard.push(line);
          const [verb = '', ...words] = line.split(' ');
          if (verb === 'PROTOCOLINFO') {
            const quoted = path.replaceAll('"', '\\"');
            say(
              `250-PROTOCOLINFO 1\n250-AUTH METHODS=${methods} COOKIEFILE="${quoted}"\n250-VERSION Tor="0.4.9"\n250 OK\n`,
            );
          } else if (verb === 'AUTHCHALLENGE') {
            const nonce = Buffer.alloc(32, 3);
            const both = Buffer.concat([cookie, Buffer.from(words[1] ?? '', 'hex'), nonce]);
            const sign = (side: string) =>
              createHmac('sha256', `Tor safe cookie authentication ${side} hash`).update(both).digest('hex');
            proof = sign('controller-to-server');
            say(
              `250 AUTHCHALLENGE SERVERHASH=${sign('server-to-controller').toUpperCase()} SERVERNONCE=${nonce.toString('hex')}\n`,
            );
          } else if (verb === 'AUTHENTICATE') {
            isKnown =
              methods === 'NULL' ||
              words[0] === proof ||
              (password !== undefined && words.join(' ') === `"${password}"`);
            say(isKnown ? '250 OK\n' : '515 Authentication failed: it did not match\n');
          } else if (!isKnown) say('514 Authentication required\n');
          else {
            commands.push(line);
            const refusal = options.refuses?.() ?? null;
            if (refusal !== null) say(`${refusal}\n`);
            else if (verb === 'ADD_ONION' && words[0]?.startsWith('NEW:') === true)
              say(
                `250-ServiceID=${++made === 1 ? ID : 'b'.repeat(56)}\n250-PrivateKey=ED25519-V3:key${made}\n250 OK\n`,
              );
            else if (verb === 'ADD_ONION') say(`250-ServiceID=${ID}\n250 OK\n`);
            else say('250 OK\n');
          }
        }
      });
    },
    options.port === undefined ? {} : { port: options.port },
  );
  return {
    endpoint: `127.0.0.1:${server.port}`,
    commands,
    heard,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function fakeStore(password: string | null = null): OnionStore & { readonly keys: Map<string, string> } {
  const keys = new Map<string, string>();
  return {
    keys,
    key: async (proxyId) => keys.get(proxyId) ?? null,
    putKey: async (proxyId, key) => void keys.set(proxyId, key),
    removeKey: async (proxyId) => void keys.delete(proxyId),
    password: async () => password,
    putPassword: async () => {},
    removePassword: async () => {},
  };
}

const silent = () => {};
const log = { debug: silent, info: silent, warn: silent, error: silent };
const onionsAt = (endpoint: string, store: OnionStore) =>
  createOnions({ store, control: () => endpoint, clock: systemClock, log, retryMs: 20 });
const SPEC = { proxyId: 'proxy-8080', port: 4000, clients: [] } as const;

describe('who we are', () => {
  test('is shown without telling the cookie', async () => {
    await using tor = await fakeTor();
    const control = await connectControl(tor.endpoint, null);
    await control.addOnion({ key: null, port: 4000, clients: [] });
    expect(tor.commands).toEqual(['ADD_ONION NEW:ED25519-V3 MaxStreams=256 Port=80,127.0.0.1:4000']);
    expect(tor.heard.join()).not.toContain(COOKIE.toString('hex'));
    control.close();
  });

  test('is not shown to somebody who does not know the cookie, whatever file it names', async () => {
    await using tor = await fakeTor({ cookie: Buffer.alloc(32, 9) });
    expect(String(await thrown(connectControl(tor.endpoint, null)))).toContain(
      'not the tor that wrote the cookie',
    );
    expect(tor.heard.some((line) => line.startsWith('AUTHENTICATE'))).toBe(false);
  });

  test('a file that is no cookie is not used', async () => {
    await using tor = await fakeTor({ file: Buffer.from('root:x:0:0:') });
    expect(String(await thrown(connectControl(tor.endpoint, null)))).toContain('is none');
    expect(tor.heard).toEqual(['PROTOCOLINFO 1']);
  });

  test('is shown by a password where there is one', async () => {
    await using tor = await fakeTor({ methods: 'HASHEDPASSWORD', password: 'say \\"it\\"' });
    (await connectControl(tor.endpoint, 'say "it"')).close();
    expect(String(await thrown(connectControl(tor.endpoint, null)))).toContain('--tor-control');
    const refused = String(await thrown(connectControl(tor.endpoint, 'wrong-one')));
    expect(refused).toContain('Authentication failed');
    expect(refused).not.toContain('wrong-one');
  });

  test('nobody there, or somebody else, is told', async () => {
    expect(await thrown(connectControl('127.0.0.1:1', null))).toMatchObject({ code: 'ONION_UNAVAILABLE' });
    await using web = await listenTcp((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await thrown(connectControl(`127.0.0.1:${web.port}`, null))).toMatchObject({
      code: 'ONION_UNAVAILABLE',
    });
  });
});

describe('a service', () => {
  test('keeps its address: its key is made once, kept, and used again', async () => {
    await using tor = await fakeTor();
    const store = fakeStore();
    const first = await onionsAt(tor.endpoint, store).publish(SPEC, false);
    expect(first.view()).toEqual({ address: `${ID}.onion`, published: true, reason: null });
    first.close();
    const second = await onionsAt(tor.endpoint, store).publish(SPEC, false);
    expect(store.keys.get('proxy-8080')).toBe('ED25519-V3:key1');
    expect(tor.commands.at(-1)).toBe('ADD_ONION ED25519-V3:key1 MaxStreams=256 Port=80,127.0.0.1:4000');
    second.close();
  });

  test('is for some clients only, where the owner names them', async () => {
    await using tor = await fakeTor();
    const clients = ['A'.repeat(52), 'B'.repeat(52)];
    const onion = await onionsAt(tor.endpoint, fakeStore()).publish({ ...SPEC, clients }, false);
    expect(tor.commands).toEqual([
      `ADD_ONION NEW:ED25519-V3 Flags=V3Auth MaxStreams=256 Port=80,127.0.0.1:4000 ClientAuthV3=${clients[0]} ClientAuthV3=${clients[1]}`,
    ]);
    onion.close();
  });

  test('is published again when tor was away', async () => {
    let tor = await fakeTor();
    const port = Number(tor.endpoint.split(':')[1]);
    const store = fakeStore();
    const onion = await onionsAt(tor.endpoint, store).publish(SPEC, false);
    tor.cut();
    await tor[Symbol.asyncDispose]();
    await eventually(() => !onion.view().published);
    expect(onion.view()).toMatchObject({ address: `${ID}.onion`, reason: expect.stringContaining('tor') });
    tor = await fakeTor({ port });
    await eventually(() => onion.view().published);
    expect(tor.commands).toEqual(['ADD_ONION ED25519-V3:key1 MaxStreams=256 Port=80,127.0.0.1:4000']);
    onion.close();
    await tor[Symbol.asyncDispose]();
  });

  test('that cannot be published is refused, or waited for by who is patient', async () => {
    let refusal: string | null = '550 Onion address collision';
    await using tor = await fakeTor({ refuses: () => refusal });
    const onions = onionsAt(tor.endpoint, fakeStore());
    expect(String(await thrown(onions.publish(SPEC, false)))).toContain('Onion address collision');
    const onion = await onions.publish(SPEC, true);
    expect(onion.view().published).toBe(false);
    refusal = null;
    await eventually(() => onion.view().published);
    onion.close();
  });

  test('takes another address, and the one before is gone', async () => {
    await using tor = await fakeTor();
    const store = fakeStore();
    const onion = await onionsAt(tor.endpoint, store).publish(SPEC, false);
    await onion.rotate();
    expect(onion.view().address).toBe(`${'b'.repeat(56)}.onion`);
    expect(store.keys.get('proxy-8080')).toBe('ED25519-V3:key2');
    expect(tor.commands.at(-1)).toBe(`DEL_ONION ${ID}`);
    onion.close();
  });
});
