/** What an answer of the gateway ended with, in one word, and whether it was a proper answer at all. */
import { expect } from 'bun:test';
import { type Answer, headerOf } from './raw';
import { asRecord, jsonIn, readStream } from './sse';

/** `error X` is FLM's own with that code; what is the engine's own came through as the engine said it. */
export type Verdict =
  | '[DONE]'
  | `error ${string}`
  | "engine's error"
  | "engine's event"
  | "engine's JSON"
  | "engine's bytes";

/** Judges the last event of a stream, or the whole of another answer. Holds what must be true of every answer. */
export function judge(answer: Answer): Verdict {
  // However the engine broke, the client's own connection is framed to the end.
  expect(answer.complete).toBe(true);
  const id = headerOf(answer, 'x-request-id') ?? '';
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  if (!(headerOf(answer, 'content-type') ?? '').startsWith('text/event-stream')) {
    const text = answer.body.toString();
    return jsonIn(text) === null ? "engine's bytes" : (errorIn(text, id) ?? "engine's JSON");
  }
  const { data, rest } = readStream(answer.body);
  const errors = data.flatMap((event) => errorIn(event, id) ?? []);
  expect(errors.length).toBeLessThanOrEqual(1);
  const last = rest === '' ? (data.at(-1) ?? '') : rest;
  if (errors.length === 1) {
    // A broken answer must not look complete.
    expect(data).not.toContain('[DONE]');
    expect(rest).toBe('');
    return errorIn(last, id) ?? "engine's event";
  }
  if (last === '[DONE]') return '[DONE]';
  return jsonIn(last) === null ? "engine's bytes" : "engine's event";
}

/** Whose error a JSON text is, or null when it is none. */
function errorIn(text: string, requestId: string): `error ${string}` | "engine's error" | null {
  const error = asRecord(jsonIn(text)?.error);
  if (error === null) return null;
  if (!('request_id' in error)) return "engine's error";
  expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code', 'request_id']);
  expect(error.request_id).toBe(requestId);
  expect(String(error.message)).not.toBe('');
  return `error ${String(error.code)}`;
}
