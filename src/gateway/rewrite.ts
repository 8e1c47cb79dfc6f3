/**
 * The changes FLM makes to answers so that its own changes to the request leave no trace: the model name as the client
 * wrote it, and the usage that only FLM asked for taken out again.
 */
import { parseJson } from '../lib/json';
import { dataOf, eventOf, eventsIn } from '../lib/sse';
import { findModels } from './scan';
import { isUsageChunk } from './usage';

export interface Rewrite {
  /** The name to put in place of the engine's, or null to leave it. */
  readonly model: string | null;
  /** The member that may name the model too (Dialect). */
  readonly envelope: string | null;
  /** Whether the stream's usage was asked for by FLM alone. */
  readonly dropUsage: boolean;
}

const USAGE = Buffer.from('"usage"');
/** As vLLM writes it. Other engines give their fingerprint in every chunk. */
const FINISHED = Buffer.from('"finish_reason":"');
const FINGERPRINT = Buffer.from('"system_fingerprint"');
/** OpenAI puts it into every chunk but the last once usage is asked for. A quote inside a string is always escaped. */
const NULL_USAGE = /,\s*"usage"\s*:\s*null/;

/** One whole JSON answer. */
export function rewriteAnswer(bytes: Uint8Array, { model, envelope }: Rewrite): Uint8Array {
  if (model === null) return bytes;
  const text = textOf(bytes);
  const renamed = rename(text, model, envelope);
  return renamed === text ? bytes : Buffer.from(renamed);
}

/** Undoes FLM's changes in one stream. Events that need no change keep their very bytes. */
export interface EventRewriter {
  /** Takes whole events; returns what of them and of earlier ones the client gets now. */
  push(region: Uint8Array): Uint8Array;
  /** What was held back for an event that has not come. */
  release(): Uint8Array;
}

export function createEventRewriter(rewrite: Rewrite): EventRewriter {
  if (rewrite.dropUsage) return new WithoutUsage(rewrite);
  return rewrite.model === null ? UNCHANGED : new Renamed(rewrite.model, rewrite.envelope);
}

const NOTHING = new Uint8Array(0);
const UNCHANGED: EventRewriter = { push: (region) => region, release: () => NOTHING };

/** Puts the model's name back, in every event that says it. */
class Renamed implements EventRewriter {
  readonly #model: string;
  readonly #envelope: string | null;

  constructor(model: string, envelope: string | null) {
    this.#model = model;
    this.#envelope = envelope;
  }

  push(region: Uint8Array): Uint8Array {
    const renamed = (data: string) => rename(data, this.#model, this.#envelope);
    return Buffer.concat([...eventsIn(region)].map((event) => change(event, renamed)));
  }

  release(): Uint8Array {
    return NOTHING;
  }
}

/**
 * Takes out the usage that only FLM asked for. vLLM then says in that chunk what it would have said in the finishing
 * one, its `system_fingerprint`: finishing chunks wait for what follows them, and get it back.
 */
class WithoutUsage implements EventRewriter {
  readonly #rewrite: Rewrite;
  #finishing: Uint8Array[] = [];

  constructor(rewrite: Rewrite) {
    this.#rewrite = rewrite;
  }

  push(region: Uint8Array): Uint8Array {
    const plain = this.#rewrite.model === null && this.#finishing.length === 0;
    if (plain && !holds(region, USAGE) && !holds(region, FINISHED)) return region;
    return Buffer.concat([...eventsIn(region)].flatMap((event) => this.#take(event)));
  }

  release(): Uint8Array {
    return Buffer.concat(this.#letGo());
  }

  /** What one event lets go: nothing, itself, or what waited for it. */
  #take(event: Uint8Array): Uint8Array[] {
    const json = holds(event, USAGE) ? parseJson(dataOf(event) ?? '') : null;
    if (isUsageChunk(json))
      return this.#letGo().map((held) => withFingerprint(held, json.system_fingerprint));
    const { model, envelope } = this.#rewrite;
    const changed = change(event, (data) => {
      const trimmed = data.replace(NULL_USAGE, '');
      return model === null ? trimmed : rename(trimmed, model, envelope);
    });
    if (!holds(event, FINISHED)) return [...this.#letGo(), changed];
    this.#finishing.push(changed);
    return [];
  }

  #letGo(): Uint8Array[] {
    const held = this.#finishing;
    this.#finishing = [];
    return held;
  }
}

/** A finishing chunk with the fingerprint it would have had; as it is when there is none, or it has one. */
function withFingerprint(event: Uint8Array, fingerprint: unknown): Uint8Array {
  if (typeof fingerprint !== 'string' || holds(event, FINGERPRINT)) return event;
  return change(event, (data) => {
    const end = data.lastIndexOf('}');
    return `${data.slice(0, end)},"system_fingerprint":${JSON.stringify(fingerprint)}${data.slice(end)}`;
  });
}

/** An event with other data, the rest of it as it was. */
function change(event: Uint8Array, edit: (data: string) => string): Uint8Array {
  const data = dataOf(event);
  if (data === null) return event;
  const edited = edit(data);
  if (edited === data) return event;
  const text = textOf(event);
  const at = text.indexOf(data);
  // Data of several lines are joined by dataOf, so they are not to be found; JSON on one line always is.
  return at === -1 ? eventOf(edited) : Buffer.from(text.slice(0, at) + edited + text.slice(at + data.length));
}

function holds(bytes: Uint8Array, needle: Uint8Array): boolean {
  return Buffer.prototype.indexOf.call(bytes, needle) !== -1;
}

function rename(text: string, model: string, envelope: string | null): string {
  // From the back, so that the places before stay where they are.
  return findModels(text, envelope).reduceRight(
    (out, { start, end }) => out.slice(0, start) + JSON.stringify(model) + out.slice(end),
    text,
  );
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}
