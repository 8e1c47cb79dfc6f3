/**
 * How bytes leave this machine. Today there is one way, straight out; Tor and SOCKS5 are further Transports behind the
 * same shape.
 */
import type { Cancel, Clock } from '../contract';
import { toAbortSignal } from '../lib/cancel';
import { MAX_WHOLE_BYTES, readAtMost } from './body';
import { EgressError, tooLarge, translateFailure } from './errors';
import { createHttp1Client } from './http1/client';

export interface EgressRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Names in lower case. Host may be among them; what frames the body may not, that is the transport's to say. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer> | null;
  /** Aborting it closes the connection, before or after the headers. */
  readonly signal: Cancel | null;
  /** Name to verify the certificate for, when the URL holds an address instead of a name. */
  readonly tlsName?: string;
  /** A unix socket to speak HTTP over, instead of the URL's host. */
  readonly unixSocket?: string;
}

/** Response headers: looked up in any case, iterated in lower case. */
export interface EgressHeaders extends Iterable<[string, string]> {
  get(name: string): string | null;
}

/** A body is taken once: whole, piece by piece, or as it comes. All three end with an EgressError when it breaks off. */
export interface EgressBody {
  bytes(): Promise<Uint8Array>;
  reader(): ChunkReader;
  /** Hands every piece to the sink as soon as it is there, the first ones before this returns. */
  pipe(sink: BodySink): BodyFlow;
}

/** Told the pieces of a body in order, then exactly one of `onEnd` and `onError`. */
export interface BodySink {
  onData(bytes: Uint8Array): void;
  onEnd(): void;
  onError(reason: unknown): void;
}

/** The tap of a body that is piped. */
export interface BodyFlow {
  pause(): void;
  resume(): void;
  /** Stops it and closes the connection. The sink is told nothing more. */
  cancel(): void;
}

export interface ChunkReader {
  /** The next bytes, or null after the last. */
  read(): Promise<Uint8Array | null>;
  /** Stops reading and closes the connection. Never rejects. */
  cancel(): void;
}

export interface EgressResponse {
  readonly status: number;
  readonly headers: EgressHeaders;
  readonly body: EgressBody;
}

export interface Transport {
  /** Resolves when the headers are there. @throws EgressError; the signal's reason when it aborts. */
  send(request: EgressRequest): Promise<EgressResponse>;
  /** Closes connections that are kept for later. */
  close(): void;
}

/**
 * Straight out, without a proxy: FLM's own client for plain HTTP and unix sockets, the runtime's fetch for HTTPS.
 * Redirects are never followed, bodies never unpacked, and nothing times out by itself but the connecting.
 */
export function directTransport(clock: Clock): Transport {
  const http1 = createHttp1Client(clock.monotonicMs);
  return {
    send: (request) => (request.url.startsWith('https:') ? sendByFetch(request, clock) : http1.send(request)),
    close: http1.close,
  };
}

/** fetch does not tell a used connection that the engine had closed from a new one; only the former fails this fast. */
const STALE_CONNECTION_MS = 1_000;

async function sendByFetch(request: EgressRequest, clock: Clock): Promise<EgressResponse> {
  const startedMs = clock.monotonicMs();
  const init = initOf(request);
  try {
    return responseOf(await fetch(request.url, init), request.signal);
  } catch (error) {
    const failure = translateFailure(error, request.signal);
    const closed = failure instanceof EgressError && failure.kind === 'closed';
    if (!closed || clock.monotonicMs() - startedMs > STALE_CONNECTION_MS) throw failure;
  }
  try {
    // On a connection of its own: the pool may hold several that the engine has closed.
    return responseOf(await fetch(request.url, { ...init, keepalive: false }), request.signal);
  } catch (error) {
    throw translateFailure(error, request.signal);
  }
}

function initOf({ method, headers, body, signal, tlsName }: EgressRequest): BunFetchRequestInit {
  const init: BunFetchRequestInit = {
    method,
    headers,
    body,
    redirect: 'manual',
    decompress: false,
    timeout: false,
  };
  if (signal !== null) init.signal = toAbortSignal(signal);
  if (tlsName !== undefined) init.tls = { serverName: tlsName };
  return init;
}

function responseOf(response: Response, signal: Cancel | null): EgressResponse {
  return { status: response.status, headers: response.headers, body: bodyOf(response, signal) };
}

function bodyOf(response: Response, signal: Cancel | null): EgressBody {
  const reader = (): ChunkReader => {
    const source = response.body?.getReader() ?? null;
    return {
      async read() {
        if (source === null) return null;
        try {
          const { value } = await source.read();
          return value ?? null;
        } catch (error) {
          throw translateFailure(error, signal);
        }
      },
      cancel() {
        // A body that already failed rejects here too, and nobody is left to tell.
        source?.cancel().catch(() => {});
      },
    };
  };
  return {
    async bytes() {
      const bytes = await readAtMost(reader(), MAX_WHOLE_BYTES);
      if (bytes === null) throw tooLarge();
      return bytes;
    },
    reader,
    pipe: (sink) => pump(reader(), sink),
  };
}

/** Pipes a body that can only be read. */
function pump(reader: ChunkReader, sink: BodySink): BodyFlow {
  let paused: PromiseWithResolvers<void> | null = null;
  let cancelled = false;

  async function run(): Promise<void> {
    try {
      for (let bytes = await reader.read(); bytes !== null && !cancelled; bytes = await reader.read()) {
        sink.onData(bytes);
        await paused?.promise;
      }
      if (!cancelled) sink.onEnd();
    } catch (error) {
      if (cancelled) return;
      // It may have been the sink that threw.
      reader.cancel();
      sink.onError(error);
    }
  }

  void run();
  return {
    pause() {
      paused ??= Promise.withResolvers<void>();
    },
    resume() {
      paused?.resolve();
      paused = null;
    },
    cancel() {
      cancelled = true;
      paused?.resolve();
      reader.cancel();
    },
  };
}
