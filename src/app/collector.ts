/** How OpenTelemetry's exports and alerts leave: through egress, as everything that leaves. */
import { type Egress, readAtMost } from '../egress';
import type { Post, PostWebhook } from '../telemetry';

/** What a collector has to say is short. */
const MAX_ANSWER_BYTES = 65_536;

/** `ending` aborts what a collector that hangs keeps open: FLM does not wait for it to end. */
export function postVia(egress: Egress, ending: AbortSignal): Post {
  return async ({ url, headers, body, timeoutMs }) => {
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ending]);
    // A collector is the owner's choice, as an engine is; metadata services of clouds are nobody's.
    await egress.checkEngineUrl(url);
    const response = await egress.send({ url, method: 'POST', headers, body, signal, purpose: 'telemetry' });
    const bytes = await readAtMost(response.body.reader(), MAX_ANSWER_BYTES);
    return {
      status: response.status,
      retryAfter: response.headers.get('retry-after'),
      text: bytes === null ? '' : new TextDecoder().decode(bytes),
    };
  };
}

/** What a receiver of alerts has to say is shown to the owner, if at all. */
const MAX_HOOK_ANSWER_BYTES = 1_024;

export function webhookVia(egress: Egress): PostWebhook {
  return (request) => egress.deliver({ ...request, maxAnswerBytes: MAX_HOOK_ANSWER_BYTES });
}
