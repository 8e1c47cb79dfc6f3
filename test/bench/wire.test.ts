/** The benchmark's own readers must not depend on how the bytes were cut: a miscount would be somebody's figure. */
import { describe, expect, test } from 'bun:test';
import { chatAnswer, streamFrames } from './answers';
import { chatRequest } from './request';
import { SseCounter } from './sse-counter';
import { statusOf, WireReader } from './wire';

const { open, tokens, close, closeWithUsage } = streamFrames(8);
const STREAM = Buffer.concat([open, ...tokens, close]);

/** Reads one response cut into pieces of `size` bytes. */
function readCut(bytes: Buffer, size: number) {
  const counter = new SseCounter();
  const seen = { status: 0, bodyBytes: 0, messages: 0 };
  const reader = new WireReader('server', {
    head: (text) => {
      seen.status = statusOf(text);
    },
    body: (part) => {
      seen.bodyBytes += part.length;
      counter.push(part);
    },
    end: () => {
      seen.messages++;
    },
  });
  for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
  reader.close();
  return { ...seen, events: counter.events, done: counter.done };
}

describe('a streamed answer', () => {
  test.each([1, 2, 3, 7, 64, 255, 1000, 100_000])('is read the same in pieces of %d bytes', (size) => {
    const whole = readCut(STREAM, STREAM.length);
    expect(whole).toMatchObject({ status: 200, messages: 1, events: 1 + tokens.length + 2, done: true });
    expect(readCut(STREAM, size)).toEqual(whole);
  });

  test('has one more event with usage, none for a ping, and is not done before its marker', () => {
    expect(readCut(Buffer.concat([open, closeWithUsage]), 5).events).toBe(4);
    const ping = Buffer.from('6\r\n: hi\n\n\r\n');
    expect(readCut(Buffer.concat([open, ping, close]), 5).events).toBe(3);
    expect(readCut(Buffer.concat([open, ...tokens]), 5)).toMatchObject({ messages: 0, done: false });
  });
});

describe('messages with a length', () => {
  test('follow each other on one connection', () => {
    const answer = chatAnswer();
    expect(readCut(Buffer.concat([answer, answer, answer]), 11)).toMatchObject({ status: 200, messages: 3 });
  });

  test('without one end with the connection', () => {
    const bytes = Buffer.from('HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\nno engine');
    expect(readCut(bytes, 4)).toMatchObject({ status: 502, bodyBytes: 9, messages: 1 });
  });

  test('are what the request is: 2,000 bytes of JSON whether it streams or not', () => {
    for (const stream of [null, { tokens: 200 }]) {
      const body =
        chatRequest({ port: 1, authorization: 'Bearer x', stream }).toString().split('\r\n\r\n')[1] ?? '';
      expect(body.length).toBe(2000);
      expect(JSON.parse(body)).toMatchObject({ model: 'bench-model' });
    }
  });
});
