/** What an answer of the gateway ended with, in one word, and whether it was a proper answer at all. */
import { expect } from 'bun:test';
import type { InferenceRoute } from '../../../src/contract';
import { type Answer, headerOf } from './raw';
import { isEnd } from './routes';
import { asRecord, jsonIn, readStream } from './sse';

/**
 * `[DONE]` and `end` are the end of a stream, as its API has it. `error X` is FLM's own with that code, or with that type
 * where the API has no codes; what is the engine's own came through as the engine said it.
 */
export type Verdict =
  | '[DONE]'
  | 'end'
  | `error ${string}`
  | "engine's error"
  | "engine's event"
  | "engine's JSON"
  | "engine's bytes";

/** Judges the last event of a stream, or the whole of another answer. Holds what must be true of every answer. */
export function judge(answer: Answer, route: InferenceRoute = '/v1/chat/completions'): Verdict {
  // However the engine broke, the client's own connection is framed to the end.
  expect(answer.complete).toBe(true);
  const id = headerOf(answer, 'x-request-id') ?? '';
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  if (!(headerOf(answer, 'content-type') ?? '').startsWith('text/event-stream')) {
    const text = answer.body.toString();
    return jsonIn(text) === null ? "engine's bytes" : (errorIn(text, id, route) ?? "engine's JSON");
  }
  const { data, rest } = readStream(answer.body);
  const errors = data.flatMap((event) => errorIn(event, id, route) ?? []);
  expect(errors.length).toBeLessThanOrEqual(1);
  const last = rest === '' ? (data.at(-1) ?? '') : rest;
  if (errors.length === 1) {
    // A broken answer must not look complete.
    expect(data.filter((event) => isEnd(route, event))).toEqual([]);
    expect(data).not.toContain('[DONE]');
    expect(rest).toBe('');
    return errorIn(last, id, route) ?? "engine's event";
  }
  if (isEnd(route, last)) return last === '[DONE]' ? '[DONE]' : 'end';
  return jsonIn(last) === null ? "engine's bytes" : "engine's event";
}

/** Whose error a JSON text is, or null when it is none. */
function errorIn(
  text: string,
  requestId: string,
  route: InferenceRoute,
): `error ${string}` | "engine's error" | null {
  const json = jsonIn(text);
  const error = asRecord(json?.error);
  if (json === null || error === null) return null;
  if (json.request_id !== requestId && error.request_id !== requestId) return "engine's error";
  expect(String(error.message)).not.toBe('');
  if (route.startsWith('/v1/messages')) {
    expect([Object.keys(json), Object.keys(error)]).toEqual([
      ['type', 'error', 'request_id'],
      ['type', 'message'],
    ]);
    expect(json.type).toBe('error');
    return `error ${String(error.type)}`;
  }
  expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code', 'request_id']);
  return `error ${String(error.code)}`;
}
