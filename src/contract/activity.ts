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
}
