/**
 * `Idempotency-Key` (HL-004): a client that does not know whether its change was made sends it again under the same key, and
 * gets the first answer again. For a day, per principal.
 */
import type { Clock } from '../../contract';
import { FlmError } from '../../lib/errors';
import type { Log } from '../../lib/log';
import { type ChangeRequest, hashKey, hashRequest } from './request-hash';
import { seal, unseal } from './seal';
import type { IdempotencyStore } from './store';

export { createIdempotencyStore, type IdempotencyStore } from './store';

export interface IdempotencyOptions {
  readonly store: IdempotencyStore;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Idempotency {
  /**
   * Runs `work` unless the request was answered before under this key; then that answer, with `idempotency-replayed`.
   * @throws INVALID_INPUT for a key that is none, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_UNDER_WAY
   */
  run(key: string, request: ChangeRequest, work: () => Promise<Response>): Promise<Response>;
  /** Gives back what a crash has left under way. Before the first request. */
  start(): Promise<void>;
  /** Drops what is older than a day. */
  sweep(): Promise<void>;
}

/** Marks an answer that was given before. */
export const REPLAYED_HEADER = 'idempotency-replayed';

const KEEP_MS = 24 * 3_600_000;
const KEY = /^[\x21-\x7e]{1,255}$/;
const MAX_ANSWER_CHARS = 1_048_576;
/** Answers that say nothing about the change, only about the moment. */
const PASSING: ReadonlySet<number> = new Set([401, 403, 408, 429]);

export function createIdempotency({ store, clock, log }: IdempotencyOptions): Idempotency {
  /** Keeps the answer, or gives the key back where it may be another one next time. */
  async function keep(
    key: string,
    keyHash: Buffer,
    requestHash: Buffer,
    response: Response,
  ): Promise<Response> {
    const { status, headers } = response;
    if (status >= 500 || PASSING.has(status)) {
      await store.release(keyHash);
      return response;
    }
    const body = await response.text();
    if (body.length > MAX_ANSWER_CHARS) await store.release(keyHash);
    else {
      const answer = { contentType: headers.get('content-type') ?? '', body };
      await store.finish(keyHash, status, seal(answer, key, requestHash));
    }
    return new Response(body, { status, headers });
  }

  async function tidying(work: () => Promise<void>): Promise<void> {
    await work().catch((error) => log.warn('old answers of the admin API could not be dropped', { error }));
  }

  return {
    async run(key, request, work) {
      if (!KEY.test(key)) {
        const reason = 'it takes 1 to 255 printable characters without spaces, such as a UUID';
        throw new FlmError('INVALID_INPUT', { meta: { field: 'Idempotency-Key', reason } });
      }
      const [keyHash, requestHash] = [hashKey(request.principalId, key), hashRequest(request)];
      const nowMs = clock.nowMs();
      const before = await store.begin({ keyHash, requestHash }, nowMs, nowMs + KEEP_MS);
      if (before !== null) {
        if (!before.requestHash.equals(requestHash)) throw new FlmError('IDEMPOTENCY_KEY_REUSED');
        if (before.status === null || before.answer === null)
          throw new FlmError('IDEMPOTENCY_UNDER_WAY', { meta: { retryAfterSeconds: 1 } });
        return replay(before.status, unseal(before.answer, key, requestHash));
      }
      try {
        return await keep(key, keyHash, requestHash, await work());
      } catch (error) {
        await store.release(keyHash);
        throw error;
      }
    },

    start: () => tidying(store.releaseUnfinished),
    sweep: () => tidying(() => store.sweep(clock.nowMs())),
  };
}

/** @throws INTERNAL_ERROR when what was kept does not open */
function replay(
  status: number,
  answer: { readonly contentType: string; readonly body: string } | null,
): Response {
  if (answer === null)
    throw new FlmError('INTERNAL_ERROR', { cause: new Error('a kept answer does not open') });
  return new Response(answer.body, {
    status,
    headers: { 'content-type': answer.contentType, [REPLAYED_HEADER]: 'true' },
  });
}
