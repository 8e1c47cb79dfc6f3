/**
 * What differs between the APIs that FLM passes through: where an answer names its model and counts its tokens, what the
 * end of a stream looks like, and how errors and pings are told inside one. One object per route; the rest of the
 * gateway asks it and knows no route by name.
 */
import type { Usage } from '../../contract';

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * What an event of a stream is to whoever waits: `opening` says that an answer is to come, which any engine would have
 * said; `progress` is worth sending and no answer yet; `content` is the answer, or its end.
 */
export type EventKind = 'opening' | 'progress' | 'content';

/** Whose doing an error inside a stream is: `busy` and `engine` may be different with another engine. */
export type Fault = 'engine' | 'busy' | 'request';

/** An error as it is told to a client: one of FLM's own (an FlmError is one), or what an engine said. */
export interface ToldError {
  readonly message: string;
  readonly hint: string | null;
  readonly status: number;
  /** Null: as the status has it. */
  readonly type: string | null;
  readonly param: string | null;
  readonly wireCode: string | number | null;
}

export interface Dialect {
  /** Whether a request may ask for an event stream. */
  readonly streams: boolean;
  /** Whether `stream_options.include_usage` makes a stream tell its token counts. */
  readonly takesStreamOptions: boolean;
  /** Members of a request's top level that FLM reads beside those of every route. None may be there twice. */
  readonly controlKeys: readonly string[];
  /** Those, and the ones below: what is read for a key whose tokens are counted. */
  readonly meteredKeys: readonly string[];
  /** Members that bound the tokens of an answer, none where it has none of its own; null where nothing is used up at all. */
  readonly outputKeys: readonly string[] | null;
  /** Whether a request may be done twice, once by an engine that breaks off and once by another; asked with those members. */
  isRepeatable(members: JsonObject): boolean;
  /** Request headers of this API alone that reach the engine, in lower case. */
  readonly headers: readonly string[];
  /** The member of an event that may name the model, beside the event's top level. */
  readonly envelope: 'response' | 'message' | null;
  /** What is sent in silence. */
  readonly ping: Uint8Array;
  /** An event holds one of these when it counts tokens or is an error. Any other is passed without being parsed. */
  readonly marks: readonly Uint8Array[];
  /** The last event of a stream that failed; `sent` are the events before it. Nothing that ends an answer follows. */
  errorEvent(error: ToldError, requestId: string, sent: Uint8Array): Uint8Array;
  /** The token counts of a whole answer. */
  usageOfAnswer(bytes: Uint8Array): Usage | null;
  /** The token counts after one more event; `before` when it has none. They are cumulative, never added up. */
  usageAfter(event: JsonObject, before: Usage | null): Usage | null;
  /** Whose doing it is when the event is an error. */
  faultOf(event: JsonObject): Fault | null;
  kindOf(event: JsonObject): EventKind;
  /** Whether whole events end with the end of an answer, behind which nothing is missing. Asked of every piece. */
  isComplete(region: Uint8Array): boolean;
  /** Whether whole events hold something after which a stream may be closed. Asked when it was closed. */
  isFinished(region: Uint8Array): boolean;
}
