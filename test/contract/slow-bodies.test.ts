/**
 * Bodies that come too slowly, through the whole gateway: refused with 408, their connection closed and nothing left open.
 * Bodies on a slow but honest line pass. The listener can be reached from elsewhere, so the rate holds by itself.
 */
import { describe, expect, test } from 'bun:test';
import { networkInterfaces } from 'node:os';
import { systemClock } from '../../src/lib/clock';
import { exposureOf } from '../../src/listeners';
import { chat, type Gateway, MODEL, startGateway } from './support/gateway';
import { connectRaw, headerOf, type RawClient } from './support/raw';
import { until } from './support/until';

/** So many times as fast does time run for FLM; its sweeps do not. */
const SPEED = 16;
const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() * SPEED };
const BIND = '0.0.0.0';
const PATH = '/v1/chat/completions';

async function start(): Promise<Gateway> {
  const gateway = await startGateway({ bind: BIND, clock });
  await gateway.addFake('openai');
  return gateway;
}

async function begin(gateway: Gateway, framing: string, body: string): Promise<RawClient> {
  const client = await connectRaw(gateway.url);
  const [name, value] = gateway.auth;
  client.send(`POST ${PATH} HTTP/1.1\r\nHost: localhost\r\n${name}: ${value}\r\n${framing}\r\n\r\n${body}`);
  return client;
}

const BEGINNING = '{"model":"';
const CHUNKED = 'Transfer-Encoding: chunked';
const isAlone = exposureOf(BIND, addresses()).exposure === 'loopback';

function addresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}

describe.concurrent.skipIf(isAlone)('a body', () => {
  test.each([
    ['that is short and stops', 'Content-Length: 500', BEGINNING, null],
    ['that is short and drips', 'Content-Length: 500', BEGINNING, 'x'],
    ['that is long and stops', 'Content-Length: 9000000', BEGINNING, null],
    ['that is long and drips', 'Content-Length: 9000000', BEGINNING, 'x'],
    ['that was fast and drips', 'Content-Length: 9000000', `${BEGINNING}${'x'.repeat(1_000_000)}`, 'x'],
    ['in chunks that stops', CHUNKED, `a\r\n${BEGINNING}\r\n`, null],
    ['in chunks that drips', CHUNKED, `a\r\n${BEGINNING}\r\n`, '1\r\nx\r\n'],
    ['that never begins', 'Content-Length: 500', '', null],
  ])('%s gets 408, and its connection is closed', async (_, framing, body, piece) => {
    await using gateway = await start();
    const client = await begin(gateway, framing, body);
    const timer = setInterval(() => {
      if (piece !== null && !client.ended()) client.send(piece);
    }, 100);
    try {
      const answer = await client.read();
      expect(answer.status).toBe(408);
      expect(headerOf(answer, 'connection')).toBe('close');
      expect(JSON.parse(answer.body.toString())).toMatchObject({
        error: { code: 'body_too_slow', type: 'timeout_error' },
      });
      await client.until(client.ended);
      await until(() => gateway.account().finished.length === 1);
      expect(gateway.account().finished[0]).toMatchObject({ errorCode: 'BODY_TOO_SLOW', status: 408 });
    } finally {
      clearInterval(timer);
      client.close();
    }
  });

  test.each(['Content-Length', 'chunks'])('on a slow line passes (%s)', async (framing) => {
    await using gateway = await start();
    const body = JSON.stringify(chat(MODEL.openai, { padding: 'x'.repeat(400_000) }));
    const isChunked = framing === 'chunks';
    const client = await begin(gateway, isChunked ? CHUNKED : `Content-Length: ${body.length}`, '');
    // 5 kB/s by FLM's clock, for longer than anybody waits for a body that stands still.
    const pieceBytes = 8_192;
    for (let at = 0; at < body.length; at += pieceBytes) {
      const piece = body.slice(at, at + pieceBytes);
      client.send(isChunked ? `${piece.length.toString(16)}\r\n${piece}\r\n` : piece);
      await Bun.sleep(50);
    }
    if (isChunked) client.send('0\r\n\r\n');
    expect((await client.read()).status).toBe(200);
    client.close();
  });
});
