/** Small conversations with engines: bounded, and never mistaken about what is JSON. */
import { describe, expect, test } from 'bun:test';
import { egressMap } from '../../test/support/egress-map';
import { httpStranger, type Stranger } from '../../test/support/strangers';
import { getJson, integerOr } from './json';
import { createMemo } from './memo';

async function ask(stranger: Stranger) {
  using map = egressMap({ 'http://127.0.0.1:1': stranger.url });
  const io = { egress: map.egress, signal: new AbortController().signal, memo: createMemo(), known: false };
  return getJson({ baseUrl: 'http://127.0.0.1:1/prefix', credential: null }, '/path', io);
}

describe('getJson', () => {
  test('gives status, server and the parsed body', async () => {
    await using stranger = httpStranger((path) =>
      Response.json({ path }, { status: 404, headers: { server: 'NginX' } }),
    );
    expect(await ask(stranger)).toEqual({ status: 404, server: 'nginx', json: { path: '/prefix/path' } });
  });

  test.each<[string, string | Uint8Array<ArrayBuffer>]>([
    ['a page', '<html></html>'],
    ['nothing', ''],
    ['half of it', '{"data":['],
    ['bytes that are no text', new Uint8Array([0x22, 0xff, 0x22])],
  ])('gives undefined for %s', async (_, body) => {
    await using stranger = httpStranger(() => new Response(body));
    expect((await ask(stranger)).json).toBeUndefined();
  });

  test('stops reading what is larger than any list of models', async () => {
    const chunk = new Uint8Array(1_000_000).fill(32);
    let sent = 0;
    await using stranger = httpStranger(
      () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              sent++;
              if (sent < 200) controller.enqueue(chunk);
              else controller.close();
            },
          }),
        ),
    );
    expect((await ask(stranger)).json).toBeUndefined();
    expect(sent).toBeLessThan(200);
  });
});

describe('integerOr', () => {
  test('takes whole numbers from its minimum on, and null for everything else', () => {
    expect([1, 5, 0, -1, 1.5, '5', null, Number.NaN, 2 ** 60].map((value) => integerOr(value, 1))).toEqual([
      1,
      5,
      ...Array(7).fill(null),
    ]);
  });
});
