/** An engine's answer before it is put on the wire: what to say, in which pieces, and what follows. */
import type { HeaderPair, RecordedRequest } from './http';
import type { FakeModel, KnownModel } from './models';

export interface Answer {
  /** `200 OK`: what follows HTTP/1.1 in the status line. */
  readonly status: string;
  /** All of them in order, with the one that frames the body. */
  readonly headers: readonly HeaderPair[];
  readonly body: WholeBody | StreamBody;
  readonly ending: 'keep-alive' | 'close';
}

export interface WholeBody {
  readonly type: 'whole';
  readonly bytes: Buffer;
  /** How long the work takes before the first byte. */
  readonly delayMs: number;
}

export interface StreamBody {
  readonly type: 'stream';
  readonly chunks: readonly StreamChunk[];
  readonly framing: Framing;
  /** How an error within a stream is written, where that is not as outside. */
  readonly errorJson?: (text: string) => string;
}

/** Server-sent events, or one JSON value a line. */
export type Framing = 'sse' | 'ndjson';

/** One HTTP chunk: its events travel together. */
export interface StreamChunk {
  /** What stands behind `data: ` (JSON text, or `[DONE]`), some with a name; or lines. */
  readonly events: readonly (string | NamedEvent)[];
  readonly delayMs: number;
}

/** An event with an `event: ` line before its data. */
export interface NamedEvent {
  readonly event: string;
  readonly data: string;
}

/** What an engine needs to know about itself to answer. */
export interface EngineView {
  /** Their names, in the order of the list. */
  readonly models: readonly string[];
  /** All that is known about them, in the same order; `loaded` is as of now. */
  readonly catalogue: readonly KnownModel[];
  readonly slots: number;
  readonly apiKey: string | null;
  /** How many content tokens an answer has when the client sets no lower limit. */
  readonly tokens: number;
  readonly tokenDelayMs: number;
  /** Requests in a slot, and requests waiting for one. */
  readonly busy: number;
  readonly waiting: number;
  /** How many tokens of a prompt usage calls cached; null: as the engine does when nothing is. */
  readonly cachedTokens: number | null;
  /** Whether a llama.cpp server was started to rerank. */
  readonly reranking: boolean;
  /** The address it listens on: Ollama looks at the Host header only on loopback. */
  readonly hostname: string;
}

/** The ways in which a fault changes what is said, rather than how it is sent. */
export interface Recipe {
  readonly text: 'plain' | 'multibyte' | { readonly hugeBytes: number };
  readonly usage: 'as-asked' | 'every-chunk' | 'never';
  /** `missing`: the stream stops without finish_reason and [DONE]. */
  readonly finish: 'proper' | 'missing';
}

export const PLAIN: Recipe = { text: 'plain', usage: 'as-asked', finish: 'proper' };

/** A dialect is one kind of engine: all its routes, shapes and headers, without any state. */
export interface Dialect {
  readonly models: readonly (string | FakeModel)[];
  readonly slots: number;
  /** Default for how long an idle connection is kept. */
  readonly keepAliveMs: number;
  /** The paths of POST requests that ask for work: only these take a slot, are counted and, normally, meet faults. */
  readonly work: RegExp;
  /** The model that such a request loads into memory or drops from it, for engines that have several. */
  loads?(
    request: RecordedRequest,
    view: EngineView,
  ): { readonly name: string; readonly loaded: boolean } | null;
  respond(request: RecordedRequest, view: EngineView, recipe: Recipe): Answer;
  /** An error in this engine's own words, with extra headers; the client's request tells about CORS and the like. */
  refuse(status: number, request: RecordedRequest, extra?: readonly HeaderPair[]): Answer;
}

/** What work came to, before the dialect's routes make it an Answer. */
export type Outcome =
  | { readonly type: 'json'; readonly body: unknown; readonly delayMs: number }
  | { readonly type: 'stream'; readonly chunks: readonly StreamChunk[]; readonly framing?: Framing }
  | { readonly type: 'error'; readonly status: number; readonly body: unknown };
