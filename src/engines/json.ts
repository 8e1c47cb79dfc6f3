/** Small JSON conversations with engines: ask, read with a bound, check the shape. */
import { type EgressResponse, readAtMost } from '../egress';
import { FlmError } from '../lib/errors';
import { isRecord } from '../lib/json';
import type { EngineTarget, LookIo } from './adapter';

export interface JsonAnswer {
  readonly status: number;
  /** Lower case, '' when absent. */
  readonly server: string;
  /** The parsed body, or undefined when it is not JSON. */
  readonly json: unknown;
}

/** A list of models is a few hundred kilobytes at most; whatever is larger is not one. */
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * GETs a path of the engine.
 * @throws EgressError when the conversation fails; the signal's reason when it aborts.
 */
export function getJson(target: EngineTarget, path: string, io: LookIo): Promise<JsonAnswer> {
  return ask(target, path, 'GET', null, io);
}

/** POSTs JSON to a path of the engine. @throws as getJson */
export function postJson(target: EngineTarget, path: string, body: unknown, io: LookIo): Promise<JsonAnswer> {
  return ask(target, path, 'POST', JSON.stringify(body), io);
}

async function ask(
  target: EngineTarget,
  path: string,
  method: 'GET' | 'POST',
  body: string | null,
  { egress, signal, memo, known }: LookIo,
): Promise<JsonAnswer> {
  const type: Record<string, string> = body === null ? {} : { 'content-type': 'application/json' };
  const response = await egress.send({
    url: target.baseUrl + path,
    method,
    headers: { accept: 'application/json', ...type, ...authorization(target) },
    body,
    signal,
  });
  if (known && isTrouble(response)) {
    response.body.reader().cancel();
    unusable(target.baseUrl, `it answers ${response.status}`);
  }
  const bytes = await readAtMost(response.body.reader(), MAX_BYTES);
  return {
    status: response.status,
    server: response.headers.get('server')?.toLowerCase() ?? '',
    json:
      bytes === null
        ? undefined
        : memo.whileSame(`${method} ${target.baseUrl}${path} ${body}`, bytes, decode),
  };
}

/** Overload and failures, of the engine or of what stands before it. llama.cpp's 503 says that it loads. */
function isTrouble({ status, headers }: EgressResponse): boolean {
  if (status === 503) return headers.get('server') !== 'llama.cpp';
  return status === 429 || status === 500 || status === 502 || status === 504;
}

/** The header that shows FLM's credential to an engine; nothing when it needs none. */
export function authorization(target: EngineTarget): Record<string, string> {
  return target.credential === null ? {} : { authorization: `Bearer ${target.credential}` };
}

/** A whole number ≥ `min`, or null. */
export function integerOr(value: unknown, min: number): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min ? value : null;
}

/** A text that is not empty, or null. */
export function textOr(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** The objects in the list under `key`; none when there is no such list. */
export function recordsIn(json: unknown, key: string): Record<string, unknown>[] {
  const list = isRecord(json) ? json[key] : null;
  return Array.isArray(list) ? list.filter(isRecord) : [];
}

/** @throws ENGINE_API_ERROR always. */
export function unusable(baseUrl: string, reason: string): never {
  throw new FlmError('ENGINE_API_ERROR', { meta: { engine: baseUrl, reason } });
}

function decode(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined; // Whoever asked decides what a page that is not JSON means.
  }
}
