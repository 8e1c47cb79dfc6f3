/** An engine's answer before it is put on the wire: what to say, in which pieces, and what follows. */
import type { HeaderPair, RecordedRequest } from './http';

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
}

/** One HTTP chunk: its events travel together. */
export interface StreamChunk {
  /** What stands behind `data: `; JSON text, or `[DONE]`. */
  readonly events: readonly string[];
  readonly delayMs: number;
}

/** What an engine needs to know about itself to answer. */
export interface EngineView {
  readonly models: readonly string[];
  readonly slots: number;
  readonly apiKey: string | null;
  /** How many content tokens an answer has when the client sets no lower limit. */
  readonly tokens: number;
  readonly tokenDelayMs: number;
  /** Requests in a slot, and requests waiting for one. */
  readonly busy: number;
  readonly waiting: number;
}

/** The ways in which a fault changes what is said, rather than how it is sent. */
export interface Recipe {
  readonly text: 'plain' | 'multibyte' | { readonly hugeBytes: number };
  readonly usage: 'as-asked' | 'every-chunk' | 'never';
  /** `missing`: the stream stops without finish_reason and [DONE]. */
  readonly finish: 'proper' | 'missing';
}

const WORK = /^\/v1\/(chat\/completions|completions|embeddings)(\?|$)/;

export const PLAIN: Recipe = { text: 'plain', usage: 'as-asked', finish: 'proper' };

/** A dialect is one kind of engine: all its routes, shapes and headers, without any state. */
export interface Dialect {
  readonly models: readonly string[];
  readonly slots: number;
  respond(request: RecordedRequest, view: EngineView, recipe: Recipe): Answer;
  /** An error in this engine's own words, with extra headers; the client's request tells about CORS and the like. */
  refuse(status: number, request: RecordedRequest, extra?: readonly HeaderPair[]): Answer;
}

/** Whether a request asks for work: only these take a slot, are counted and, normally, meet faults. */
export function isWork(request: RecordedRequest): boolean {
  return request.method === 'POST' && WORK.test(request.path);
}

/** What work came to, before the dialect's routes make it an Answer. */
export type Outcome =
  | { readonly type: 'json'; readonly body: unknown; readonly delayMs: number }
  | { readonly type: 'stream'; readonly chunks: readonly StreamChunk[] }
  | { readonly type: 'error'; readonly status: number; readonly body: unknown };
