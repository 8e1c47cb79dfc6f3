/** What a detector is: a pure rule over one request and what its address did lately. */
import type { AuditSeverity } from '../../contract';
import type { Facts, Recent } from '../facts';

export interface Detector {
  /** Intrusions look for a hole; anomalies are what no client does. Each has a score of its own. */
  readonly kind: 'intrusion' | 'anomaly' | 'honeypot';
  readonly severity: AuditSeverity;
  /** What the owner reads. */
  readonly about: string;
  /** How much the request counts; 0: nothing to see. */
  readonly score: (facts: Facts, recent: Recent) => number;
}
