/** One row of the request log, and how it is bound to the row before it. */
import type { TicketOutcome } from '../contract';

/** As numbers in the file, by their place. */
export const OUTCOMES = ['done', 'aborted', 'failed', 'refused'] as const satisfies readonly TicketOutcome[];

/** `opened`: a request that takes long, told before its end; `refusals`: strangers that were refused, counted. */
export const KINDS = ['request', 'opened', 'refusals'] as const;
export type RowKind = (typeof KINDS)[number];

export interface LogRow {
  readonly kind: RowKind;
  /** When it arrived; the minute in which they were counted. */
  readonly atMs: number;
  /** UUIDv7; null for what was counted. */
  readonly requestId: string | null;
  /** Of the client, or the /64 of refused ones; null once it was erased. */
  readonly address: string | null;
  readonly method: string | null;
  readonly path: string | null;
  readonly key: string | null;
  readonly model: string | null;
  readonly engine: string | null;
  readonly outcome: TicketOutcome;
  readonly status: number;
  readonly error: string | null;
  readonly attempts: number;
  readonly isStream: boolean;
  readonly waitedMs: number;
  readonly firstByteMs: number | null;
  readonly firstTokenMs: number | null;
  readonly durationMs: number;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly cachedTokens: number | null;
  readonly reasoningTokens: number | null;
  /** The row that told of it before its end. */
  readonly openedSeq: number | null;
  /** Requests that a row of refusals stands for. */
  readonly count: number | null;
}

/** A row in its place. */
export interface StoredRow extends LogRow {
  readonly seq: number;
}

/** The digest before the first row of an installation. */
export const GENESIS: Buffer = sha256('flm activity 1');

/**
 * The digest of the chain up to a row: over the digest before it, the row's number and everything in it. Of the client
 * it holds the commitment, so that an erased address changes nothing.
 */
export function linkOf(previous: Buffer, seq: number, commitment: Buffer, row: LogRow): Buffer {
  const text = JSON.stringify([
    seq,
    row.kind,
    row.atMs,
    row.requestId,
    commitment.toString('base64'),
    row.method,
    row.path,
    row.key,
    row.model,
    row.engine,
    row.outcome,
    row.status,
    row.error,
    row.attempts,
    row.isStream,
    row.waitedMs,
    row.firstByteMs,
    row.firstTokenMs,
    row.durationMs,
    row.promptTokens,
    row.completionTokens,
    row.cachedTokens,
    row.reasoningTokens,
    row.openedSeq,
    row.count,
  ]);
  return sha256(previous, text);
}

/** What the chain holds in place of an address. */
export function commitmentOf(salt: Buffer, address: string): Buffer {
  return sha256(salt, address);
}

/** How much of a digest stands beside each row. */
export const LINK_BYTES = 8;

function sha256(...parts: readonly (string | Buffer)[]): Buffer {
  const hasher = new Bun.CryptoHasher('sha256');
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}

const DAY_MS = 86_400_000;

/** `2026-11-23` for a time of that day, UTC. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** The first millisecond of a day. */
export function startOf(day: string): number {
  return Date.parse(`${day}T00:00:00.000Z`);
}

export function dayAfter(day: string, days = 1): string {
  return dayOf(startOf(day) + days * DAY_MS);
}
