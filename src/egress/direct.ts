/** The way straight out: FLM's own client for plain HTTP and unix sockets, the runtime's fetch for HTTPS. */
import type { Cancel, Clock } from '../contract';
import { toAbortSignal } from '../lib/cancel';
import { MAX_WHOLE_BYTES, readAtMost } from './body';
import { EgressError, tooLarge, translateFailure } from './errors';
import { createHttp1Client } from './http1/client';
import type {
  BodyFlow,
  BodySink,
  ChunkReader,
  EgressBody,
  EgressRequest,
  EgressResponse,
  Transport,
} from './transport';

/**
 * The transport without a proxy in between. Redirects are never followed, bodies never unpacked, and nothing times out
 * by itself but the connecting.
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

function initOf({ method, headers, body, signal, tlsName, tlsRoots }: EgressRequest): BunFetchRequestInit {
  const init: BunFetchRequestInit = {
    method,
    headers,
    body,
    redirect: 'manual',
    decompress: false,
    timeout: false,
  };
  if (signal !== null) init.signal = toAbortSignal(signal);
  if (tlsName !== undefined || tlsRoots !== undefined)
    init.tls = {
      ...(tlsName === undefined ? {} : { serverName: tlsName }),
      ...(tlsRoots === undefined ? {} : { ca: [...tlsRoots] }),
    };
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
