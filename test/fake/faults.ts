/**
 * Everything that can go wrong with an engine, switchable at run time. A fault changes what is said (`recipeFor`)
 * or how it travels (plan.ts).
 */
import { PLAIN, type Recipe } from './answer';

/** `on`: which requests meet it. Default `work`: chat, embeddings and the like, so that probes stay healthy. */
export type Fault = { readonly on?: 'work' | 'everything' } & (
  | {
      /** The first byte comes late. */
      readonly kind: 'slow';
      readonly delayMs: number;
    }
  | {
      readonly kind:
        | 'stall-before-headers'
        /** Headers, then nothing. */
        | 'stall-before-first-token'
        /** RST instead of an answer. */
        | 'die-before-headers'
        /** Bytes that are not HTTP, then FIN. */
        | 'garbage'
        /** 200 and well-formed SSE whose data are not JSON. */
        | 'garbage-frames'
        /** Many multi-byte characters, and every chunk cut within one. */
        | 'half-utf8'
        | 'one-byte-chunks'
        /** Lines and frames end with CRLF. */
        | 'crlf-frames'
        | 'status-500'
        | 'status-503'
        /** The whole answer, but never the end of its framing. */
        | 'never-close'
        /** A stream that stops cleanly without finish_reason and [DONE]. */
        | 'no-done'
        /** Closes after a streamed answer whatever its headers promise: what llama.cpp always does. */
        | 'close-after-stream'
        /** Cumulative usage in every frame, asked for or not. */
        | 'usage-every-chunk'
        /** No usage and no timings, even when asked for. */
        | 'no-usage'
        /** Hop-by-hop headers, two cookies, and a trailer after a chunked body. */
        | 'bad-headers';
    }
  | {
      /** FIN, RST, or FIN within a frame, after so many chunks (default 2) or half of a whole body. */
      readonly kind: 'die-mid-stream' | 'reset-mid-stream' | 'die-mid-frame';
      readonly afterChunks?: number;
    }
  | {
      /** Silence without an end after so many chunks (default 2): a vLLM that was told to stop, while /health stays 200. */
      readonly kind: 'stall-mid-stream';
      readonly afterChunks?: number;
    }
  | {
      /** 200, then an error as a frame, then [DONE] where that is used, as vLLM does; a plain 500 when not streaming. */
      readonly kind: 'error-frame';
      /** Chunks before it. Default 0. */
      readonly afterChunks?: number;
    }
  | {
      /** One data line of about this many bytes. Default 1 MiB. */
      readonly kind: 'huge-line';
      readonly bytes?: number;
    }
  | {
      readonly kind: 'status-429';
      /** The Retry-After header, in seconds. Default 7. */
      readonly retryAfterSeconds?: number;
    }
  | {
      /** 200 with half of the JSON, or with a web page, whether a stream was asked for or not. */
      readonly kind: 'wrong-json';
      readonly form?: 'truncated' | 'not-json';
    }
  | {
      /** Content-Length too high (then FIN) or too low by so many bytes. Default 10. */
      readonly kind: 'wrong-content-length';
      readonly by?: number;
    }
  | {
      /** 302. */
      readonly kind: 'redirect';
      readonly location: string;
    }
);

/** The faults that every test grid has a row for. */
export type FaultKind = keyof typeof FAULTS;

/** Every fault with its usual parameters: rows of test grids. */
export const FAULTS = {
  slow: { kind: 'slow', delayMs: 150 },
  'stall-before-headers': { kind: 'stall-before-headers' },
  'stall-before-first-token': { kind: 'stall-before-first-token' },
  'die-before-headers': { kind: 'die-before-headers' },
  'die-mid-stream': { kind: 'die-mid-stream' },
  'reset-mid-stream': { kind: 'reset-mid-stream' },
  'die-mid-frame': { kind: 'die-mid-frame' },
  garbage: { kind: 'garbage' },
  'garbage-frames': { kind: 'garbage-frames' },
  'half-utf8': { kind: 'half-utf8' },
  'one-byte-chunks': { kind: 'one-byte-chunks' },
  'crlf-frames': { kind: 'crlf-frames' },
  'huge-line': { kind: 'huge-line' },
  'status-429': { kind: 'status-429' },
  'status-500': { kind: 'status-500' },
  'status-503': { kind: 'status-503' },
  'wrong-json': { kind: 'wrong-json' },
  'wrong-content-length': { kind: 'wrong-content-length' },
  'never-close': { kind: 'never-close' },
  'error-frame': { kind: 'error-frame' },
  'no-done': { kind: 'no-done' },
  'close-after-stream': { kind: 'close-after-stream' },
  'usage-every-chunk': { kind: 'usage-every-chunk' },
  'no-usage': { kind: 'no-usage' },
  'bad-headers': { kind: 'bad-headers' },
  redirect: { kind: 'redirect', location: 'http://127.0.0.1:9/elsewhere' },
} as const satisfies { readonly [K in Fault['kind']]?: Fault & { readonly kind: K } };

/** The names that main.ts takes: also of faults that the grids have no row for yet. */
export const NAMED_FAULTS: Readonly<Record<string, Fault>> = {
  ...FAULTS,
  'stall-mid-stream': { kind: 'stall-mid-stream' },
};

/** What the fault changes in what is said. */
export function recipeFor(fault: Fault | null): Recipe {
  switch (fault?.kind) {
    case 'half-utf8':
      return { ...PLAIN, text: 'multibyte' };
    case 'huge-line':
      return { ...PLAIN, text: { hugeBytes: fault.bytes ?? 2 ** 20 } };
    case 'usage-every-chunk':
      return { ...PLAIN, usage: 'every-chunk' };
    case 'no-usage':
      return { ...PLAIN, usage: 'never' };
    case 'no-done':
      return { ...PLAIN, finish: 'missing' };
    default:
      return PLAIN;
  }
}
