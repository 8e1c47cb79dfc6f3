/** The front by itself: who is at the other end, by their own word or by a proxy's, and what becomes of those who say it wrongly. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { connectRaw, type RawClient } from '../../../test/contract/support/raw';
import { eventually } from '../../../test/support/eventually';
import { listen } from '../proxy';
import { type Front, openFront, type Peer, PLAIN } from '.';
import { createAnnounced, peerFrom, UNTOLD_PEER } from './announced';

setDefaultTimeout(20_000);

const PROXY = '127.0.0.5';
const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const SIGNATURE = '0d0a0d0a000d0a515549540a';
const v2 = (hex: string) => Buffer.from(SIGNATURE + hex, 'hex');
const TCP4 = 'PROXY TCP4 203.0.113.9 127.0.0.1 4711 8080\r\n';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Started {
  readonly front: Front;
  /** Whose requests have come through. */
  readonly seen: Peer[];
  connect(localAddress?: string): Promise<RawClient>;
}

async function start(more: { handshakeMs?: number; trusted?: readonly string[] } = {}): Promise<Started> {
  const { trusted = [PROXY], ...times } = more;
  const seen: Peer[] = [];
  let front: Front | null = null;
  const inner = listen({
    bind: '127.0.0.1',
    port: 0,
    handler: {
      async fetch(request, connection) {
        const guest = front?.guestAt(connection.requestIP(request)?.port ?? 0);
        if (guest) seen.push({ address: guest.address, port: guest.port });
        return new Response('here');
      },
    },
  });
  const opened = await openFront({
    bind: '127.0.0.1',
    port: 0,
    reusePort: false,
    speech: PLAIN,
    innerPort: () => inner.port,
    proxyProtocol: true,
    trustedProxies: () => trusted,
    ...times,
  });
  front = opened;
  closers.push(async () => {
    opened.leave();
    await inner.stop(async () => {}, 0);
    await opened.end(0);
  });
  return {
    front: opened,
    seen,
    async connect(localAddress) {
      const client = await connectRaw(`http://127.0.0.1:${opened.port}`, localAddress);
      closers.push(client.close);
      return client;
    },
  };
}

const here = async (client: RawClient) => (await client.read()).body.toString() === 'here';

describe('a trusted proxy', () => {
  test.each<[string, string | Buffer, Partial<Peer>]>([
    ['version 1', TCP4, { address: '203.0.113.9', port: 4_711 }],
    ['IPv6', 'PROXY TCP6 2001:db8::7 ::1 4711 8080\r\n', { address: '2001:db8::7', port: 4_711 }],
    ['version 2', v2('2111000ccb0071097f00000112671f90'), { address: '203.0.113.9', port: 4_711 }],
    ['with values', v2('21110013cb0071097f00000112671f90040004deadbeef'), { address: '203.0.113.9' }],
    ['for itself', v2('20000000'), { address: PROXY }],
    ['for nobody', v2('21000000'), { address: UNTOLD_PEER }],
    ['for somebody unknown', 'PROXY UNKNOWN\r\n', { address: UNTOLD_PEER }],
    ['for a UNIX socket', v2(`213100d8${'00'.repeat(216)}`), { address: UNTOLD_PEER }],
    ['for no address', 'PROXY TCP4 0.0.0.0 127.0.0.1 1 2\r\n', { address: UNTOLD_PEER }],
    // It is on this machine, so that is where its clients are.
    ['for this machine', 'PROXY TCP4 127.0.0.9 127.0.0.1 1 2\r\n', { address: '127.0.0.9' }],
  ])('is believed: %s, in one piece and byte by byte', async (_, header, peer) => {
    const { front, seen, connect } = await start();
    const client = await connect(PROXY);
    client.send(Buffer.concat([Buffer.from(header), Buffer.from(GET)]));
    expect(await here(client)).toBe(true);
    const slow = await connect(PROXY);
    for (const byte of Buffer.concat([Buffer.from(header), Buffer.from(GET)])) {
      slow.send(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await here(slow)).toBe(true);
    expect(seen).toMatchObject([peer, peer]);
    client.close();
    slow.close();
    await eventually(() => front.open() === 0);
  });

  test('has said it once for all requests of a connection', async () => {
    const { seen, connect } = await start();
    const client = await connect(PROXY);
    client.send(TCP4 + GET);
    await here(client);
    client.send(GET);
    await eventually(() => seen.length === 2);
    expect(new Set(seen.map(({ address }) => address))).toEqual(new Set(['203.0.113.9']));
  });

  test('that says nothing, or stops within it, is cut in time', async () => {
    const { front, seen, connect } = await start({ handshakeMs: 50 });
    for (const beginning of ['', 'PROXY TCP4 203.0.113.9', v2('2111000ccb00').toString('latin1')]) {
      const client = await connect(PROXY);
      client.send(Buffer.from(beginning, 'latin1'));
      await client.until(client.ended);
      expect(client.received().length).toBe(0);
    }
    expect([front.open(), front.halfOpen(), seen.length]).toEqual([0, 0, 0]);
  });

  test.each([
    ['a request', GET],
    ['a line that never ends', `PROXY UNKNOWN ${'x'.repeat(200)}`],
    ['a slip', 'PROXY TCP4 203.0.113.9 127.0.0.1 4711\r\n'],
    ['more than there is to say', v2('2111ffff').toString('latin1')],
    ['a second header', TCP4 + TCP4],
  ])('that says %s is cut at once', async (_, text) => {
    const { seen, connect } = await start();
    const client = await connect(PROXY);
    client.send(Buffer.from(text, 'latin1'));
    await client.until(client.ended);
    expect([client.received().length, seen.length]).toEqual([0, 0]);
  });

  test.each(['127.0.0.1', '::1'])('elsewhere cannot make anybody one of this machine: %s', (address) => {
    const there = { address: '192.0.2.1', port: 7 };
    expect(peerFrom({ address, port: 1 }, there)).toEqual({ address: UNTOLD_PEER, port: 7 });
    expect(peerFrom({ address, port: 1 }, { address: PROXY, port: 7 })).toEqual({ address, port: 1 });
  });

  test('is not known to be anybody before it has spoken', () => {
    const there = { address: '192.0.2.1', port: 7 };
    const { clientAt } = createAnnounced({ isSpoken: true, trustedProxies: () => [there.address] });
    expect([clientAt(there), clientAt({ ...there, address: PROXY })]).toEqual([
      null,
      { ...there, address: PROXY },
    ]);
  });
});

describe('anybody else', () => {
  test('is who they are, and may not say otherwise', async () => {
    const { seen, connect } = await start();
    const honest = await connect('127.0.0.6');
    honest.send(GET);
    expect(await here(honest)).toBe(true);
    expect(seen).toMatchObject([{ address: '127.0.0.6' }]);
    for (const header of [TCP4, v2('2111000ccb0071097f00000112671f90')]) {
      const liar = await connect('127.0.0.6');
      liar.send(Buffer.concat([Buffer.from(header), Buffer.from(GET)]));
      await liar.until(liar.ended);
      expect(liar.received().length).toBe(0);
    }
    expect(seen.length).toBe(1);
  });

  test('whoever said it in pieces gets no further than the parser of HTTP', async () => {
    const { seen, connect } = await start();
    const liar = await connect('127.0.0.6');
    liar.send('PRO');
    await new Promise((resolve) => setImmediate(resolve));
    liar.send(`XY TCP4 203.0.113.9 127.0.0.1 1 2\r\n${GET}`);
    await liar.until(liar.ended);
    expect(seen.map(({ address }) => address)).not.toContain('203.0.113.9');
  });
});

describe('many at once', () => {
  const silent = (connect: Started['connect'], count: number, header: string, from: string) =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const client = await connect(from);
        client.send(header);
        return client;
      }),
    );

  test('those of a proxy that have said nothing yet do not count for one source', async () => {
    const { front, connect } = await start();
    await silent(connect, 100, '', PROXY);
    await eventually(() => front.halfOpen() === 100);
  });

  test('handshakes count for whoever has come to the proxy', async () => {
    const { front, connect } = await start();
    const honest = await silent(connect, 20, 'PROXY TCP4 203.0.113.10 127.0.0.1 1 2\r\n', PROXY);
    const crowd = await silent(connect, 100, TCP4, PROXY);
    await eventually(() => front.halfOpen() === 84);
    expect(honest.filter((client) => client.ended()).length).toBe(0);
    expect(crowd.filter((client) => client.ended()).length).toBe(36);
  });
});
