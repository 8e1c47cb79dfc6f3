/** The shape of every way out of this machine: a request, the answer to it, and what carries the two. */
import type { Cancel } from '../contract';

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
  /** Roots, PEM, to verify it with instead of those of the runtime. */
  readonly tlsRoots?: readonly string[];
  /** A unix socket to speak HTTP over, instead of the URL's host. */
  readonly unixSocket?: string;
  /** What it is for: requests of different purposes share no way through a tunnel. Default: engine. */
  readonly purpose?: string;
  /** To an address of this machine, as whoever asks knows: it takes no tunnel, if that is what it is. */
  readonly isOwn?: boolean;
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
