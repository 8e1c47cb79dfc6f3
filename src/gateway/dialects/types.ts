/** The JSON of newer APIs: events that say in it what they are (`{"type": "message_stop", …}`), and whole answers. */
import { isRecord, parseJson } from '../../lib/json';
import { dataOf, eventOf, eventsIn } from '../../lib/sse';
import type { JsonObject } from './dialect';

/** An event that tells its type twice, as these APIs have it: in its name and in its JSON. */
export function typedEvent(event: JsonObject & { readonly type: string }): Uint8Array {
  return Buffer.concat([Buffer.from(`event: ${event.type}\n`), eventOf(JSON.stringify(event))]);
}

/** Whether one of whole events has one of the types. Parses only those that hold its name: this is asked of every piece. */
export function holdsType(region: Uint8Array, types: readonly string[]): boolean {
  for (const type of types) {
    if (Buffer.prototype.includes.call(region, type) && isAmong(region, type)) return true;
  }
  return false;
}

function isAmong(region: Uint8Array, type: string): boolean {
  for (const event of eventsIn(region)) {
    const json = parseJson(dataOf(event) ?? '');
    if (isRecord(json) && json.type === type) return true;
  }
  return false;
}

/** A whole answer, or null when it is no JSON object. */
export function answerIn(bytes: Uint8Array): JsonObject | null {
  const json = parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
  return isRecord(json) ? json : null;
}
