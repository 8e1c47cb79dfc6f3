/** What makes two requests the same one: method, path, query, who asks, and the body whatever the order of its fields. */
import { createHash } from 'node:crypto';
import { isRecord, parseJson } from '../../lib/json';

export interface ChangeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly principalId: string;
  readonly body: string;
}

/** SHA-256, 32 bytes. */
export function hashRequest({ method, path, query, principalId, body }: ChangeRequest): Buffer {
  const json = parseJson(body);
  const sorted = [...query].sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
  // As JSON, so that no part can grow into the next one.
  const parts = [
    method,
    path,
    sorted,
    principalId,
    json === undefined ? ['text', body] : ['json', canonical(json)],
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest();
}

/** SHA-256 of who asks and the key: two people may choose the same one. */
export function hashKey(principalId: string, key: string): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([principalId, key]))
    .digest();
}

/** The same value with the fields of every object in one order; as pairs, for `__proto__` may be one of them. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return ['list', ...value.map(canonical)];
  if (!isRecord(value)) return value;
  const fields = Object.entries(value).sort(([a], [b]) => compare(a, b));
  return ['object', ...fields.map(([name, field]) => [name, canonical(field)])];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
