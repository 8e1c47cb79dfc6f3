/** What the process that serves is started with. Written by FLM itself, read with care all the same. */
import type { Order } from '../../src/daemon';
import { FlmError } from '../../src/lib/errors';
import { isRecord, parseJson } from '../../src/lib/json';
import { requireValid } from '../../src/lib/validate';
import { ProxyInput } from '../../src/listeners';

export type ServeOrder = Order<ProxyInput>;

/** @throws USAGE_ERROR, INVALID_INPUT */
export function parseOrder(text: string): ServeOrder {
  const json = parseJson(text);
  if (!isRecord(json) || json.first === undefined)
    throw new FlmError('USAGE_ERROR', { meta: { reason: 'Only FLM itself uses this command' } });
  const first = json.first === null ? null : requireValid(ProxyInput, json.first);
  return { first, takeOver: json.takeOver === true, isPatient: json.isPatient === true };
}
