/**
 * Reads along in a stream that passes by: token counts, errors, and how far the answer has come. The bytes are searched,
 * and only an event that may hold something is parsed; inside JSON strings a quote is always escaped, so the search
 * cannot be fooled by what a model says.
 */
import type { Usage } from '../contract';
import { isRecord, parseJson } from '../lib/json';
import { dataOf, eventsIn } from '../lib/sse';
import type { Dialect, EventKind, Fault } from './dialects';

export class EventReader {
  /** As the engine told so far. */
  usage: Usage | null = null;
  /** Whose doing the error was that the engine reported inside the stream (vLLM answers 200 first and fails then). */
  fault: Fault | null = null;
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /**
   * Takes whole events.
   * @returns how many bytes go up to the end of the first that is an error; all of them when none is.
   */
  see(region: Uint8Array): number {
    if (!this.#holdsMark(region)) return region.length;
    let end = 0;
    for (const event of eventsIn(region)) {
      end += event.length;
      const json = parseJson(dataOf(event) ?? '');
      if (!isRecord(json)) continue;
      this.usage = this.#dialect.usageAfter(json, this.usage);
      this.fault = this.#dialect.faultOf(json);
      if (this.fault !== null) return end;
    }
    return region.length;
  }

  #holdsMark(region: Uint8Array): boolean {
    for (const mark of this.#dialect.marks) {
      if (Buffer.prototype.indexOf.call(region, mark) !== -1) return true;
    }
    return false;
  }
}

/** What whole events are to whoever waits, taken together. What is no JSON is for the client to judge: content. */
export function kindOf(region: Uint8Array, dialect: Dialect): EventKind {
  let kind: EventKind = 'opening';
  for (const event of eventsIn(region)) {
    const data = dataOf(event);
    // A comment says nothing.
    if (data === null) continue;
    const json = parseJson(data);
    const next = isRecord(json) ? dialect.kindOf(json) : 'content';
    if (next === 'content') return next;
    if (next === 'progress') kind = next;
  }
  return kind;
}
