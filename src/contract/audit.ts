/** What is put on record for ever: who changed what, and what happened to the doors of this installation (FLM-119). */

export type AuditSeverity = 'low' | 'medium' | 'high' | 'critical';

export type AuditType =
  | 'key.created'
  | 'key.updated'
  | 'key.rotated'
  | 'key.collected'
  | 'key.revoked'
  | 'engine.added'
  | 'engine.removed'
  | 'config.set'
  | 'config.unset'
  | 'model.alias_set'
  | 'model.alias_removed'
  | 'model.strategy_set'
  | 'model.strategy_unset'
  | 'proxy.started'
  | 'proxy.stopped'
  | 'proxy.reloaded'
  | 'flm.started'
  | 'flm.stopped'
  | 'flm.crashed'
  | 'admin.token_issued'
  | 'admin.session_opened'
  | 'admin.session_closed'
  | 'admin.auth_failed'
  | 'admin.locked_out'
  | 'audit.exported'
  | 'audit.checkpoint'
  | 'audit.erased'
  | 'policy.set'
  | 'policy.rolled_back'
  | 'policy.unreadable'
  | 'security.banned'
  | 'security.unbanned'
  | 'security.bans_cleared'
  | 'security.intrusion'
  | 'security.anomaly'
  | 'security.honeypot'
  | 'security.resource'
  | 'security.limited'
  | 'alert.rule_set'
  | 'alert.rule_removed'
  | 'alert.target_set'
  | 'alert.target_removed'
  | 'alert.undelivered'
  | 'ca.created'
  | 'ca.rotated'
  | 'ca.retired'
  | 'certificate.issued'
  | 'certificate.imported'
  | 'certificate.removed'
  | 'certificate.expiring'
  | 'egress.tunnel_lost'
  | 'egress.tunnel_back'
  | 'egress.fail_open_used'
  | 'egress.login_set'
  | 'egress.login_removed'
  | 'onion.created'
  | 'onion.removed'
  | 'activity.anchor'
  | 'activity.archived'
  | 'activity.removed'
  | 'activity.erased'
  | 'activity.exported'
  | 'support.bundled'
  | 'engine.trial_started'
  | 'engine.trial_stopped';

/** One thing to put on record. Who did it, through which request and from where is known to the writer (lib/actor). */
export interface AuditEvent {
  readonly type: AuditType;
  readonly severity: AuditSeverity;
  /** What it was done to: `key:Ab12Cd34`, `engine:ollama`, `setting:proxy.port`; null for FLM itself. */
  readonly target: string | null;
  /** JSON that says what a reader has to know. Never a secret, never a prompt. */
  readonly details: Readonly<Record<string, unknown>> | null;
}

/**
 * Puts events on record in the database of the change they tell of. Called inside the transaction of the change, so that
 * both are there or neither is; synchronous for that reason.
 */
export interface AuditWriter {
  /** @throws DB_ERROR, which has to undo the change: what cannot be put on record does not happen. */
  write(event: AuditEvent): void;
}
