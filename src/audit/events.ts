/** The audit chain as server-sent events: each row with its number as the id, so that who comes back misses none. */
import { PING } from '../lib/sse';
import type { AuditEntry } from './model';

/** How soon a browser comes back, in milliseconds. */
const RETRY = 'retry: 1000\n\n';

/**
 * An answer that goes on until its reader leaves. A row is looked up only when the reader has taken the one before it:
 * one that is slow costs nothing.
 */
export function eventStream(
  follow: (signal: AbortSignal) => AsyncGenerator<AuditEntry | null>,
  gone: AbortSignal,
): Response {
  const ended = new AbortController();
  const signal = AbortSignal.any([gone, ended.signal]);
  const entries = follow(signal);
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        // Something has to be sent for the headers to leave.
        controller.enqueue(Buffer.from(RETRY));
      },
      async pull(controller) {
        try {
          const { done, value } = await entries.next();
          if (done === true) controller.close();
          else controller.enqueue(value === null ? PING : eventOf(value));
        } catch (error) {
          ended.abort();
          controller.error(error);
        }
      },
      cancel() {
        ended.abort();
      },
    },
    { highWaterMark: 1 },
  );
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  });
}

function eventOf(entry: AuditEntry): Uint8Array {
  return Buffer.from(`id: ${entry.seq}\ndata: ${JSON.stringify(entry)}\n\n`);
}

/** The number in `Last-Event-ID`, or null when there is none that can be one. */
export function lastEventId(header: string | null): number | null {
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : null;
}

/** An answer made of pieces of text, each of which is made when the one before it has left. */
export function textStream(pieces: AsyncIterable<string>, contentType: string, fileName: string): Response {
  const iterator = pieces[Symbol.asyncIterator]();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await iterator.next();
          if (done === true) controller.close();
          else controller.enqueue(Buffer.from(value));
        } catch (error) {
          controller.error(error);
        }
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 1 },
  );
  return new Response(body, {
    headers: { 'content-type': contentType, 'content-disposition': `attachment; filename="${fileName}"` },
  });
}
