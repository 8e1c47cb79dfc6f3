/** Bodies of admin requests: whole, small, and soon. */
import { describe, expect, test } from 'bun:test';
import { codeOf } from '../../test/support/thrown';
import { readBody } from './request-body';

const LIMIT = 10;
const requestWith = (body: BodyInit | null) => new Request('http://localhost/', { method: 'POST', body });

/** Sends its pieces, and then nothing more without ending. */
function hanging(...pieces: string[]): { readonly body: ReadableStream<Uint8Array>; cancelled(): boolean } {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces.shift();
      if (piece !== undefined) controller.enqueue(new TextEncoder().encode(piece));
      else return new Promise(() => {});
    },
    cancel() {
      cancelled = true;
    },
  });
  return { body, cancelled: () => cancelled };
}

describe('a body', () => {
  test.each([
    ['', null],
    ['', ''],
    ['äöü', 'äöü'],
    ['x'.repeat(LIMIT), 'x'.repeat(LIMIT)],
  ])('%p is read whole', async (text, body) => {
    expect(await readBody(requestWith(body), LIMIT)).toBe(text);
  });

  test('is one text although its letters were cut', async () => {
    const bytes = new TextEncoder().encode('ä');
    const cut = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    expect(await readBody(requestWith(cut), LIMIT)).toBe('ä');
  });

  test('that is too large is refused before its end', async () => {
    const { body, cancelled } = hanging('x'.repeat(LIMIT), 'x');
    expect(await codeOf(() => readBody(requestWith(body), LIMIT))).toBe('PAYLOAD_TOO_LARGE');
    expect(cancelled()).toBe(true);
  });

  test('that says it is too large is not read at all', async () => {
    const request = new Request('http://localhost/', {
      method: 'POST',
      body: 'x',
      headers: { 'content-length': '11' },
    });
    expect(await codeOf(() => readBody(request, LIMIT))).toBe('PAYLOAD_TOO_LARGE');
    expect(request.bodyUsed).toBe(false);
  });

  test('that does not come is not waited for', async () => {
    const { body, cancelled } = hanging('x');
    expect(await codeOf(() => readBody(requestWith(body), LIMIT, 20))).toBe('BODY_TIMEOUT');
    expect(cancelled()).toBe(true);
  });

  test('that breaks off is nobody’s fault', async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new DOMException('The connection was closed.', 'AbortError'));
      },
    });
    expect(await codeOf(() => readBody(requestWith(broken), LIMIT))).toBe('CLIENT_CLOSED_REQUEST');
  });

  test('that is not UTF-8 is refused', async () => {
    expect(await codeOf(() => readBody(requestWith(new Uint8Array([0xff])), LIMIT))).toBe('INVALID_JSON');
  });
});
