/**
 * Request smuggling over bare sockets: whatever the bytes, the engine gets the request that FLM has checked, or nothing;
 * nobody gets 5xx of FLM's, nobody waits for nothing, and nothing that stands in a body becomes a request. Judged by
 * every byte that a recording engine received, and by a next request on the same connection.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { FakeEngine } from '../fake';
import { parseHead, readBody } from '../fake/message';
import { BODY, bodyOf, CASES, type Case, FRAMINGS } from './smuggling/cases';
import { type Heard, type RecordingEngine, startRecordingEngine } from './smuggling/engine';
import { type Gateway, startGateway } from './support/gateway';
import { ask, connectRaw, type RawClient } from './support/raw';

/** Nothing that is answered takes longer. */
const SOON_MS = 2_000;
/** Larger than any buffer on the way. */
const LARGE = bodyOf(1_500_000);
const SLOW = 'slow';
const NEXT = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n';

let gateway: Gateway;
let engine: RecordingEngine;
let auth: string;
beforeAll(async () => {
  engine = await startRecordingEngine();
  gateway = await startGateway();
  await gateway.addEngine('openai', engine.url, { id: 'recording' });
  auth = gateway.auth.join(': ');
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await engine.close();
});

type Send = (client: RawClient, wire: string) => Promise<void>;
const atOnce: Send = async (client, wire) => client.send(Buffer.from(wire, 'latin1'));
/** Each line, and each half of a line, on its own: what a parser kept from the piece before is looked at again. */
const inPieces: Send = async (client, wire) => {
  for (const piece of wire.split(/(?<=\n)|(?<=:)/)) {
    client.send(Buffer.from(piece, 'latin1'));
    await new Promise((resolve) => setImmediate(resolve));
  }
};

async function check({ wire, statuses, reached, after }: Case, body: string, send: Send): Promise<void> {
  engine.taken();
  const client = await connectRaw(gateway.url);
  try {
    await send(client, wire(auth, body));
    const seen = () => statusesIn(client.received());
    if (after === 'waits') {
      await client.until(() => client.ended() || seen().length >= statuses.length, SOON_MS);
      expect(client.ended()).toBe(false);
      client.halfClose();
    } else if (after === 'open') {
      await client.until(() => client.ended() || seen().length >= statuses.length, SOON_MS);
      expect(seen()).toEqual([...statuses]);
      client.send(NEXT);
      await client.until(() => client.ended() || seen().length > statuses.length, SOON_MS);
      // In step: the next answer is that to the next request.
      expect(seen()).toEqual([...statuses, 200]);
      expect(client.received().toString('latin1')).toEndWith('{"status":"ok"}');
      client.halfClose();
    }
    await client.until(client.ended, SOON_MS);
    // A connection that is closed while more comes is reset, and now and then before its answer was read.
    if (after === 'closed' && body === LARGE) expect([...statuses].slice(0, seen().length)).toEqual(seen());
    else if (after !== 'open') expect(seen()).toEqual([...statuses]);
  } finally {
    client.close();
  }
  await gateway.settled();
  const heard = engine.taken();
  for (const one of heard) expectCanonical(one, body);
  if (reached === 'perhaps') expect(heard.length).toBeLessThan(2);
  else expect(heard).toHaveLength(reached);
}

/** FLM's own head, each header once, and the body byte for byte. */
function expectCanonical({ lines: [line, ...headers], body }: Heard, sent: string): void {
  expect(line).toBe('POST /v1/chat/completions HTTP/1.1');
  const names = headers.map(
    (header) => /^([a-z-]+): [\x20-\x7e]+$/i.exec(header)?.[1]?.toLowerCase() ?? header,
  );
  expect(new Set(names).size).toBe(names.length);
  const allowed = [
    'host',
    'content-type',
    'content-length',
    'accept-encoding',
    'user-agent',
    'traceparent',
    'connection',
  ];
  expect(names.filter((name) => !allowed.includes(name))).toEqual([]);
  expect(headers.find((header) => /^host:/i.test(header))).toEndWith(engine.url.slice('http://'.length));
  expect(headers.join('\n')).not.toContain('evil');
  expect(body === sent).toBe(true);
}

/** The statuses of all answers that came whole, without interim ones. */
function statusesIn(bytes: Buffer): number[] {
  const statuses: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const head = parseHead(bytes.subarray(at));
    if (head === null) break;
    const status = Number(head.start.split(' ')[1]);
    const isInterim = status < 200;
    const hasNone = isInterim || status === 204;
    const hasFraming = head.headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name));
    // The runtime's own refusals have no body, and do not say so.
    const body = hasNone || !hasFraming ? null : readBody(bytes, at + head.bytes, head, 'response');
    if (body?.complete === false) break;
    if (!isInterim) statuses.push(status);
    at = body?.end ?? at + head.bytes;
  }
  return statuses;
}

describe('a request that is framed to be misread', () => {
  test.each(CASES.map((each) => [each.name, each] as const))('%s', (_, each) => check(each, BODY, atOnce));
});

describe('the same in pieces', () => {
  test.each(FRAMINGS.map((each) => [each.name, each] as const))('%s', (_, each) =>
    check(each, BODY, inPieces),
  );
});

describe('the same around a large body', () => {
  test.each(FRAMINGS.map((each) => [each.name, each] as const))('%s', (_, each) =>
    check(each, LARGE, atOnce),
  );
});

describe('what the runtime hands over before it hangs up', () => {
  const slow = { model: SLOW, messages: [{ role: 'user', content: 'x' }] };
  const body = JSON.stringify(slow);
  const head = (framing: string) =>
    `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n${auth}\r\n${framing}\r\n\r\n`;
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;

  test.each([
    ['a trailer', () => `${head('Transfer-Encoding: chunked')}${chunk}0\r\nX: y\r\n\r\n`, [400]],
    ['a second request', () => `${head(`Content-Length: ${body.length}`)}${body}${NEXT}`, []],
  ] as const)('is not worked on to its end: %s', async (_, wire, statuses) => {
    await using fake = await slowEngine();
    const client = await connectRaw(gateway.url);
    client.send(Buffer.from(wire(), 'latin1'));
    await client.until(client.ended, SOON_MS);
    expect(statusesIn(client.received())).toEqual([...statuses]);
    client.close();
    await gateway.settled();
    expect([fake.served(), fake.busy()]).toEqual([0, 0]);
  });

  /** One that takes longer than any of this. */
  async function slowEngine(): Promise<FakeEngine & AsyncDisposable> {
    const fake = await gateway.addFake('openai', { models: [SLOW], tokenDelayMs: 60_000 }, { id: SLOW });
    return { ...fake, [Symbol.asyncDispose]: async () => void (await gateway.app.engines.remove(SLOW)) };
  }
});

test('there are hundreds of them, each another one', () => {
  expect(CASES.length).toBeGreaterThan(300);
  expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
});

test('after all of that, an honest request is served', async () => {
  const headers = [gateway.auth];
  expect((await ask(gateway.url, { target: '/v1/chat/completions', headers, body: BODY })).status).toBe(200);
});
