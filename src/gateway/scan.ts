/**
 * One pass over a JSON body for what FLM has to read itself: `model`, `stream`, `stream_options`. Strings are jumped
 * over with the engine's own search, so a long prompt costs next to nothing and no second copy of it is made.
 *
 * FLM and the engine must read the same: outside strings the grammar is RFC 8259 to the letter, and a control key that
 * appears twice (also with escapes or in another case, which Go's decoder takes for the same) is refused. Inside
 * strings only their end is looked for; what an engine makes of their contents changes nothing here.
 */
import { FlmError } from '../lib/errors';
import { isRecord } from '../lib/json';
import type { JsonObject } from './dialects';

/** A value in the text: `text.slice(start, end)` is its JSON. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Scan {
  /** The model as the client wrote it. */
  readonly model: string;
  readonly modelSpan: Span;
  /** Whether an event stream is asked for. */
  readonly stream: boolean;
  /** Whether the client leaves the usage chunk of a stream out. */
  readonly omitsUsage: boolean;
  readonly streamOptionsSpan: Span | null;
  /** Offset just after the opening brace: where a key can be put in. */
  readonly bodyStart: number;
  /** The values of the route's own control keys that are there. */
  readonly more: JsonObject;
}

/** How the text's code units map to characters: `latin1` when each unit is one byte of UTF-8. */
export type Units = 'utf16' | 'latin1';

const MAX_DEPTH = 512;
const CONTROL_KEYS = ['model', 'stream', 'stream_options'];
const MODEL_KEY = ['model'];
const NO_KEYS: readonly string[] = [];
const NOTHING: JsonObject = {};

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** Keys without escapes, capitals or anything that could fold into ASCII: they are what they look like. */
const PLAIN_KEY = /^[a-z0-9_.-]*$/;

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/**
 * Reads the control keys of a request body, and those that the route has beside them.
 * @throws INVALID_JSON, DUPLICATE_KEY; INVALID_MODEL when `model` is missing or no string; INVALID_REQUEST when what asks for a
 * stream is neither true nor false.
 */
export function scanBody(text: string, units: Units, more: readonly string[] = NO_KEYS): Scan {
  const names = more.length === 0 ? CONTROL_KEYS : [...CONTROL_KEYS, ...more];
  const { spans, bodyStart } = findMembers(text, units, names);
  const read = (span: Span | undefined): unknown =>
    span === undefined ? undefined : parse(text, span, units);

  const modelSpan = spans.get('model');
  const model = read(modelSpan);
  if (modelSpan === undefined || typeof model !== 'string') {
    const reason = modelSpan === undefined ? 'it is missing' : 'it is not a string';
    throw new FlmError('INVALID_MODEL', { meta: { reason }, param: 'model' });
  }
  // Half a character is U+FFFD for Go, an error for others, and part of a name for none.
  if (!model.isWellFormed())
    throw new FlmError('INVALID_MODEL', { meta: { reason: 'it holds half a character' }, param: 'model' });
  const streamOptionsSpan = spans.get('stream_options');
  const includeUsage = usageFlagOf(read(streamOptionsSpan) ?? {});
  return {
    model,
    modelSpan,
    stream: flag(read(spans.get('stream')), 'stream') ?? false,
    omitsUsage: includeUsage === false,
    streamOptionsSpan: streamOptionsSpan ?? null,
    bodyStart,
    more: more.length === 0 ? NOTHING : Object.fromEntries(more.map((name) => [name, read(spans.get(name))])),
  };
}

/** Whether usage is asked for; null where the options are none, which is for the engine to judge. */
function usageFlagOf(streamOptions: unknown): boolean | null {
  if (!isRecord(streamOptions)) return null;
  for (const key of Object.keys(streamOptions)) {
    if (key !== 'include_usage' && foldCase(key) === 'include_usage') throw duplicate('include_usage');
  }
  return flag(streamOptions.include_usage, 'include_usage') ?? false;
}

/**
 * What says whether there is a stream, and with which end, must say it to everybody: for vLLM 1 and "yes" are true, and for
 * others an error.
 */
function flag(value: unknown, param: string): boolean | null {
  if (typeof value === 'boolean') return value;
  if (value === undefined || value === null) return null;
  throw new FlmError('INVALID_REQUEST', { meta: { reason: `"${param}" is neither true nor false` }, param });
}

/**
 * Where an answer names its model, from its front to its back: at its top level, and at the top level of its member
 * `envelope`. Nowhere when the text is no JSON object.
 */
export function findModels(text: string, envelope: string | null): readonly Span[] {
  const names = envelope === null ? MODEL_KEY : [...MODEL_KEY, envelope];
  const spans = membersOf(text, names);
  const outer = spans?.get('model');
  const found = outer === undefined ? [] : [outer];
  const inner = envelope === null ? undefined : spans?.get(envelope);
  if (inner === undefined) return found;
  const within = membersOf(text.slice(inner.start, inner.end), MODEL_KEY)?.get('model');
  if (within !== undefined) found.push(moved(within, inner.start));
  return found.sort((a, b) => a.start - b.start);
}

function membersOf(text: string, names: readonly string[]): ReadonlyMap<string, Span> | null {
  try {
    return findMembers(text, 'utf16', names).spans;
  } catch {
    return null; // The engine's answer is the client's to judge.
  }
}

function moved({ start, end }: Span, by: number): Span {
  return { start: start + by, end: end + by };
}

/** Walks the whole text once, iteratively: nesting costs an array entry, never stack. */
function findMembers(
  text: string,
  units: Units,
  names: readonly string[],
): { spans: Map<string, Span>; bodyStart: number } {
  const spans = new Map<string, Span>();
  /** The closing character of each container that is open. */
  const closers: number[] = [];
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_BRACE) throw invalid('it is not an object', at);
  const bodyStart = at + 1;
  let key: string | null = null;
  let valueStart = at;

  for (;;) {
    // Here a value begins.
    const code = text.charCodeAt(at);
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      const closer = code === OPEN_BRACE ? CLOSE_BRACE : CLOSE_BRACKET;
      closers.push(closer);
      if (closers.length > MAX_DEPTH) throw invalid(`it is nested deeper than ${MAX_DEPTH} levels`, at);
      at = skipSpace(text, at + 1);
      if (text.charCodeAt(at) !== closer) {
        if (closer === CLOSE_BRACE) {
          const name = beginMember();
          if (closers.length === 1) [key, valueStart] = [name, at];
        }
        continue;
      }
      closers.pop(); // Nothing in it: it ends where it began.
    } else {
      at = skipScalar(text, at) - 1;
    }
    // Here a value has just ended, with its last character at `at`. Close what ends with it.
    at++;
    for (;;) {
      if (closers.length === 1 && key !== null) {
        spans.set(key, { start: valueStart, end: at });
        key = null;
      }
      at = skipSpace(text, at);
      const closer = closers.at(-1);
      if (closer === undefined) {
        if (at !== text.length) throw invalid('something follows the object', at);
        return { spans, bodyStart };
      }
      const next = text.charCodeAt(at);
      if (next === closer) {
        closers.pop();
        at++;
        continue;
      }
      if (next !== COMMA) throw invalid('a comma or the end of a list or object is missing', at);
      at = skipSpace(text, at + 1);
      if (closer === CLOSE_BRACE) {
        const name = beginMember();
        if (closers.length === 1) [key, valueStart] = [name, at];
      }
      break;
    }
  }

  /** Reads `"key" :` and moves to the value. Returns which of `names` it is at the top level. */
  function beginMember(): string | null {
    if (text.charCodeAt(at) !== QUOTE) throw invalid('a key is missing', at);
    const start = at;
    at = skipString(text, at);
    const name = closers.length === 1 ? nameAt(text, { start, end: at }, units, names) : null;
    if (name !== null && spans.has(name)) throw duplicate(name);
    at = skipSpace(text, at);
    if (text.charCodeAt(at) !== COLON) throw invalid('a colon is missing', at);
    at = skipSpace(text, at + 1);
    return name;
  }
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return at;
    at++;
  }
}

/** The offset after the string that opens at `from`. A quote ends it unless an odd number of backslashes precedes. */
function skipString(text: string, from: number): number {
  let quote = from;
  for (;;) {
    quote = text.indexOf('"', quote + 1);
    if (quote === -1) throw invalid('a string does not end', from);
    let before = quote - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if ((quote - before) % 2 === 1) return quote + 1;
  }
}

function skipScalar(text: string, from: number): number {
  const code = text.charCodeAt(from);
  if (code === QUOTE) return skipString(text, from);
  for (const word of ['true', 'false', 'null']) if (text.startsWith(word, from)) return from + word.length;
  NUMBER.lastIndex = from;
  if (!NUMBER.test(text)) throw invalid('a value is missing or malformed', from);
  return NUMBER.lastIndex;
}

/** Which of `names` a key token stands for, however it is written, or null. */
function nameAt(text: string, span: Span, units: Units, names: readonly string[]): string | null {
  const length = span.end - span.start - 2;
  // An escape makes a key at most six times as long; anything longer names nothing of ours.
  if (length < 5 || length > 84) return null;
  const raw = text.slice(span.start + 1, span.end - 1);
  if (PLAIN_KEY.test(raw)) return names.includes(raw) ? raw : null;
  const name = parse(text, span, units);
  const folded = typeof name === 'string' ? foldCase(name) : '';
  if (!names.includes(folded)) return null;
  if (name === folded) return folded;
  // "Model" is another key for most engines and the same key for Go's: which one it meant cannot be told.
  throw duplicate(folded);
}

/** Simple case folding as Go's encoding/json does it: `ſ` is an s and the Kelvin sign is a k. */
function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase();
}

function parse(text: string, { start, end }: Span, units: Units): unknown {
  const slice = text.slice(start, end);
  try {
    return JSON.parse(units === 'latin1' ? Buffer.from(slice, 'latin1').toString('utf8') : slice);
  } catch {
    throw invalid('a string holds a control character or an unknown escape', start);
  }
}

function duplicate(key: string): FlmError {
  return new FlmError('DUPLICATE_KEY', { meta: { key }, param: key });
}

function invalid(reason: string, at: number): FlmError {
  return new FlmError('INVALID_JSON', { meta: { reason: `${reason} (at character ${at})` } });
}
