/** What is known of one request of a client once it is over: what the request log, metrics and traces are made of. */
import type { TicketOutcome, Usage } from './ticket';

export interface RequestFacts {
  /** UUIDv7, as in `x-request-id`. */
  readonly requestId: string;
  /** Wall time of its arrival, milliseconds UTC. */
  readonly atMs: number;
  /** The client's address, behind trusted proxies if there are any. */
  readonly ip: string;
  readonly method: string;
  /** The route (`/v1/chat/completions`) or, where no route took it, the path, cut to 200 characters. */
  readonly path: string;
  /** `owner`, or the id of the key; null for somebody who was not recognised. */
  readonly principalId: string | null;
  /** SHA-256 of the client certificate that was shown and verified, 64 hexadecimal digits; null: none. */
  readonly certificate: string | null;
  /** The model as the client wrote it; null where the request did not come so far. */
  readonly model: string | null;
  /** The engine that was asked last. */
  readonly engineId: string | null;
  /** That engine's own name of the model. */
  readonly engineModel: string | null;
  /** Engines that were asked. */
  readonly attempts: number;
  readonly isStream: boolean;
  readonly outcome: TicketOutcome;
  /** HTTP status that was sent; a stream that failed late keeps the 200 it began with. */
  readonly status: number;
  /** Code of the error the client was told, also inside a stream. */
  readonly errorCode: string | null;
  /** In the queues of engines. */
  readonly waitedMs: number;
  /** From arrival to the first byte of the answer, headers included; null while there is none. */
  readonly firstByteMs: number | null;
  /** From the request's leaving for the engine to the first words of a stream. */
  readonly firstTokenMs: number | null;
  /** From arrival to the last byte. */
  readonly durationMs: number;
  readonly usage: Usage | null;
  readonly trace: RequestTrace;
}

/** The place of a request in a trace (W3C Trace Context). */
export interface RequestTrace {
  /** 32 hexadecimal digits: the client's trace or, without one, the request id's. */
  readonly traceId: string;
  /** FLM's own step: 16 hexadecimal digits. */
  readonly spanId: string;
  /** The client's step; null where the trace begins here. */
  readonly parentSpanId: string | null;
  /** Whether the steps of the trace are to be kept. */
  readonly isSampled: boolean;
}
