/** What the request log asks of whoever keeps the audit chain: neither room knows the other. */
import type { AuditEvent } from './audit';

/** The end of the request log at some moment. On record elsewhere, nothing before it can be changed unnoticed. */
export interface ActivityAnchor {
  /** UTC, `2026-11-23`. */
  readonly day: string;
  /** Number of the block, counted through all days. */
  readonly block: number;
  /** SHA-256 over everything up to the end of that block, hex. */
  readonly digest: string;
  /** Rows up to there, through all days. */
  readonly rows: number;
}

/** A day that was removed or archived, as it was put on record. Null where a record of an older FLM does not say. */
export interface ActivityRemoval {
  readonly day: string;
  readonly firstBlock: number | null;
  /** The last block of it. */
  readonly block: number | null;
  /** Of that block, hex. */
  readonly digest: string | null;
}

/** What is on record elsewhere about the request log. */
export interface ActivityEvidence {
  readonly anchors: readonly ActivityAnchor[];
  readonly removals: readonly ActivityRemoval[];
}

export interface AnchorSink {
  /** Puts the end of the request log on record. */
  anchor(details: ActivityAnchor): Promise<void>;
}

/** The audit chain, as far as the request log needs it. */
export interface ActivityRecord extends AnchorSink {
  /** Puts on record that days were removed or archived, or somebody's address erased. */
  record(event: AuditEvent): Promise<void>;
  /** Every anchor that is on record, oldest first. */
  anchors(): Promise<readonly ActivityAnchor[]>;
  /** Every day that is on record as removed or archived. */
  removals(): Promise<readonly ActivityRemoval[]>;
}
