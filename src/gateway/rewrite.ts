/**
 * The changes FLM makes to answers so that its own changes to the request leave no trace: the model name as the client
 * wrote it, and the usage that only FLM asked for taken out again.
 */
import { parseJson } from '../lib/json';
import { dataOf, eventOf, eventsIn } from '../lib/sse';
import { findModel } from './scan';
import { isUsageChunk } from './usage';

export interface Rewrite {
  /** The name to put in place of the engine's, or null to leave it. */
  readonly model: string | null;
  /** Whether the stream's usage was asked for by FLM alone. */
  readonly dropUsage: boolean;
}

const USAGE = Buffer.from('"usage"');
/** OpenAI puts it into every chunk but the last once usage is asked for. A quote inside a string is always escaped. */
const NULL_USAGE = /,\s*"usage"\s*:\s*null/;

/** One whole JSON answer. */
export function rewriteAnswer(bytes: Uint8Array, { model }: Rewrite): Uint8Array {
  if (model === null) return bytes;
  const text = textOf(bytes);
  const renamed = rename(text, model);
  return renamed === text ? bytes : Buffer.from(renamed);
}

/** Whole events of a stream; those that need no change keep their very bytes. */
export function rewriteEvents(region: Uint8Array, rewrite: Rewrite): Uint8Array {
  const holdsUsage = rewrite.dropUsage && Buffer.prototype.indexOf.call(region, USAGE) !== -1;
  if (rewrite.model === null && !holdsUsage) return region;
  return Buffer.concat([...eventsIn(region)].map((event) => rewriteEvent(event, rewrite)));
}

const NOTHING = new Uint8Array(0);

function rewriteEvent(event: Uint8Array, { model, dropUsage }: Rewrite): Uint8Array {
  const data = dataOf(event);
  if (data === null) return event;
  if (dropUsage && isUsageChunk(parseJson(data))) return NOTHING;
  const trimmed = dropUsage ? data.replace(NULL_USAGE, '') : data;
  const renamed = model === null ? trimmed : rename(trimmed, model);
  return renamed === data ? event : eventOf(renamed);
}

function rename(text: string, model: string): string {
  const span = findModel(text);
  return span === null ? text : text.slice(0, span.start) + JSON.stringify(model) + text.slice(span.end);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}
