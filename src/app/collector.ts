/** How OpenTelemetry's exports leave: through egress, as everything that leaves. */
import type { Egress } from '../egress';
import type { Post } from '../telemetry';

/** What a collector has to say is short. */
const MAX_ANSWER_BYTES = 65_536;

export function postVia(egress: Egress): Post {
  return async ({ url, headers, body, timeoutMs }) => {
    const signal = AbortSignal.timeout(timeoutMs);
    // A collector is the owner's choice, as an engine is; metadata services of clouds are nobody's.
    await egress.checkEngineUrl(url);
    const response = await egress.send({ url, method: 'POST', headers, body, signal });
    const bytes = await response.body.bytes();
    return {
      status: response.status,
      retryAfter: response.headers.get('retry-after'),
      text: new TextDecoder().decode(bytes.subarray(0, MAX_ANSWER_BYTES)),
    };
  };
}
