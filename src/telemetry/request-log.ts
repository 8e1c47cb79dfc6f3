/** The request log (FLM-118): a line of JSON for each request that is over, where the owner wants them. */
import type { RequestFacts } from '../contract';
import type { Bus } from '../lib/bus';
import { maskIp } from '../lib/ip';
import { redact } from '../lib/redact';

export interface RequestLogOptions {
  readonly bus: Bus;
  /** Asked for each line. `off` costs nothing but the asking. */
  readonly destination: () => 'off' | 'stdout' | 'file';
  readonly fullIps: () => boolean;
  readonly toFile: (line: string) => void;
  /** False when it was not taken. */
  readonly toStdout: (line: string) => boolean;
  /** Told of each line that stdout did not take. */
  readonly onLost: () => void;
}

/** Writes lines until the returned function is called. */
export function logRequests(options: RequestLogOptions): () => void {
  const { bus, destination, fullIps, toFile, toStdout, onLost } = options;
  return bus.subscribe('request.finished', ({ request }) => {
    const where = destination();
    if (where === 'off') return;
    const line = `${JSON.stringify(requestLine(request, fullIps()))}\n`;
    if (where === 'file') toFile(line);
    else if (!toStdout(line)) onLost();
  });
}

/** What a line says. The model is what the client wrote, which may be anything: it is cut. */
export function requestLine(request: RequestFacts, fullIp: boolean) {
  const { usage } = request;
  return {
    timestamp: new Date(request.atMs).toISOString(),
    request_id: request.requestId,
    trace_id: request.trace.traceId,
    client_ip: fullIp ? request.ip : maskIp(request.ip),
    api_key_id: request.principalId,
    method: request.method,
    endpoint: redact(request.path),
    model: request.model === null ? null : redact(request.model.slice(0, MAX_MODEL)),
    engine_id: request.engineId,
    engine_model: request.engineModel,
    attempts: request.attempts,
    stream: request.isStream,
    status: request.status,
    outcome: request.outcome,
    error_type: request.errorCode,
    latency_ms: rounded(request.durationMs),
    first_byte_ms: rounded(request.firstByteMs),
    first_token_ms: rounded(request.firstTokenMs),
    queue_ms: rounded(request.waitedMs),
    input_tokens: usage?.promptTokens ?? null,
    output_tokens: usage?.completionTokens ?? null,
  };
}

const MAX_MODEL = 200;

function rounded<Ms extends number | null>(ms: Ms): Ms | number {
  return ms === null ? ms : Math.round(ms * 100) / 100;
}
