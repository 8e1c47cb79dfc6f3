import { expect, test } from 'bun:test';
import { ONION_PEER, openOnionDoor, type PublishedOnion } from './onion';
import type { Visitor } from './proxy';
import type { Entrance } from './ways-in';

const ADDRESS = `${'a'.repeat(56)}.onion`;

async function door(address: string | null) {
  const seen: { readonly ip: string | undefined; readonly host: string | null }[] = [];
  let port = 0;
  const entrance: Entrance = {
    async fetch(request: Request, connection: Visitor) {
      seen.push({ ip: connection.requestIP(request)?.address, host: request.headers.get('host') });
      connection.timeout(request, 0);
      return new Response('here');
    },
    become() {},
    busy: () => 0,
    abort() {},
  };
  const onion: PublishedOnion = {
    view: () => ({ address, published: true, reason: null }),
    rotate: async () => {},
    close() {},
  };
  const opened = await openOnionDoor({
    proxyId: 'proxy-8080',
    clients: [],
    entrance,
    isPatient: false,
    publisher: {
      publish: async (spec) => {
        port = spec.port;
        return onion;
      },
      forget: async () => {},
    },
  });
  const ask = (host: string) => fetch(`http://127.0.0.1:${port}/metrics`, { headers: { host } });
  return { seen, ask, [Symbol.asyncDispose]: () => opened.listener.stop(async () => {}, 0) };
}

test('visitors come from far away, by its own name', async () => {
  await using at = await door(ADDRESS);
  for (const host of [ADDRESS, `${ADDRESS.toUpperCase()}:80`, `www.${ADDRESS}`]) {
    expect(await (await at.ask(host)).text()).toBe('here');
  }
  expect(at.seen.map(({ ip }) => ip)).toEqual([ONION_PEER, ONION_PEER, ONION_PEER]);
});

test('by any other name nobody is let in, least of all by one of this machine', async () => {
  await using at = await door(ADDRESS);
  for (const host of ['localhost', '127.0.0.1', 'evil.example', `${'b'.repeat(56)}.onion`, `x${ADDRESS}`]) {
    expect((await at.ask(host)).status).toBe(421);
  }
  expect(at.seen).toEqual([]);
});

test('before it has an address nobody is let in', async () => {
  await using at = await door(null);
  expect((await at.ask(ADDRESS)).status).toBe(421);
});
