/** Carries questions to the admin API of an FLM that runs, over its socket, and brings back answers or what it refused with. */
import { type Egress, EgressError, type EgressResponse } from '../egress';
import { errorFromWire, FlmError } from '../lib/errors';
import { isRecord, parseJson } from '../lib/json';
import { dataOf, eventsIn, SseSplitter } from '../lib/sse';
import type { Input, Method } from './client.gen';

/** More than any event of the admin API takes. */
const MAX_EVENT_BYTES = 16_777_216;

/** Asks the FLM that listens on the socket. @throws PROXY_NOT_RUNNING when none does; what it refuses with. */
export type Ask = (
  method: Method,
  path: string,
  input: Input,
  headers?: Readonly<Record<string, string>>,
) => Promise<EgressResponse>;

export function askAt(egress: Egress, unixSocket: string): Ask {
  return async (method, path, { params = {}, query = {}, body, signal }, headers = {}) => {
    const response = await egress
      .send({
        url: `http://localhost${fill(path, params)}${queryOf(query)}`,
        method,
        headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ?? null,
        unixSocket,
      })
      .catch(gone);
    if (response.status >= 400) throw errorOf(await jsonOf(response));
    return response;
  };
}

/** The JSON of an answer. */
export async function jsonOf({ body }: EgressResponse): Promise<unknown> {
  return parseJson(new TextDecoder().decode(await body.bytes().catch(gone)));
}

/** It broke off in the middle of its answer, or was not there at all. */
function gone(error: unknown): never {
  throw error instanceof EgressError ? new FlmError('PROXY_NOT_RUNNING', { cause: error }) : error;
}

/** The bytes of a long answer as they come. Half of one must not look like all of it. */
export async function* bytesOf(answer: Promise<EgressResponse>): AsyncGenerator<Uint8Array> {
  const reader = (await answer).body.reader();
  try {
    for (let bytes = await reader.read().catch(gone); bytes !== null; bytes = await reader.read().catch(gone))
      yield bytes;
  } finally {
    reader.cancel();
  }
}

/** As `bytesOf`, as text. */
export async function* textOf(answer: Promise<EgressResponse>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const bytes of bytesOf(answer)) yield decoder.decode(bytes, { stream: true });
}

/** As `bytesOf`, the data of server-sent events, each of which is JSON. */
export async function* eventsOf(answer: Promise<EgressResponse>): AsyncGenerator<unknown> {
  const splitter = new SseSplitter(MAX_EVENT_BYTES);
  for await (const bytes of bytesOf(answer)) {
    const whole = splitter.push(bytes);
    if (whole === null) continue;
    for (const event of eventsIn(whole)) {
      const data = dataOf(event);
      if (data !== null) yield parseJson(data);
    }
  }
}

/** `/api/v1/keys/{id}/revoke` with its value in place. */
function fill(path: string, params: Readonly<Record<string, string>>): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
}

function queryOf(query: NonNullable<Input['query']>): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

function errorOf(json: unknown): FlmError {
  const error = isRecord(json) && isRecord(json.error) ? json.error : {};
  return errorFromWire({
    code: String(error.code),
    message: typeof error.message === 'string' ? error.message : 'The admin API gave no reason.',
    hint: typeof error.hint === 'string' ? error.hint : null,
    requestId: typeof error.request_id === 'string' ? error.request_id : null,
  });
}
