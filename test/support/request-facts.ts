/** Requests as the gateway tells of them, for tests of what is made of them. */
import type { RequestFacts } from '../../src/contract';

/** A request of a key that an engine answered; `n` makes each another one. */
export function factsOf(n: number, more: Partial<RequestFacts> = {}): RequestFacts {
  return {
    requestId: idAt(1_760_000_000_000 + n, n),
    atMs: 1_760_000_000_000 + n,
    ip: `10.0.${Math.floor(n / 250) % 250}.${n % 250}`,
    method: 'POST',
    path: '/v1/chat/completions',
    principalId: `Key0000${n % 9}`,
    certificate: null,
    model: `model-${n % 7}`,
    engineId: `engine-${n % 3}`,
    engineModel: `model-${n % 7}`,
    attempts: 1,
    isStream: n % 2 === 0,
    outcome: 'done',
    status: 200,
    errorCode: null,
    waitedMs: n % 5,
    firstByteMs: 12.25,
    firstTokenMs: n % 2 === 0 ? 30.5 : null,
    durationMs: 100 + (n % 900),
    usage: {
      promptTokens: 100 + (n % 400),
      completionTokens: n % 300,
      cachedTokens: null,
      reasoningTokens: null,
    },
    trace: {
      traceId: idAt(1_760_000_000_000 + n, n).replaceAll('-', ''),
      spanId: '8000000000000001',
      parentSpanId: null,
      isSampled: false,
    },
    ...more,
  };
}

/** A UUIDv7 of that time. */
export function idAt(ms: number, n: number): string {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${n.toString(16).padStart(12, '0')}`;
}
