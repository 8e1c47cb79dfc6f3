/** The alert_* tables of security.db. */
import { and, asc, desc, eq, inArray, lt, ne, notInArray } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../../db';
import type { AuditEvent, AuditWriter } from '../../contract';
import { isRecord, parseJson } from '../../lib/json';
import {
  ALERT_EVENTS,
  ALERT_SEVERITIES,
  type AlertRule,
  type AlertSeverity,
  DELIVERY_STATES,
  type DeliveryState,
  type AlertEvent as EventName,
  LOG_TARGET,
} from './model';

export interface StoredTarget {
  readonly id: string;
  /** Null: FLM's own log. */
  readonly webhook: StoredWebhook | null;
  /** Whether it said that it is gone. */
  readonly isGone: boolean;
  readonly updatedAtMs: number;
}

export interface StoredWebhook {
  readonly url: string;
  readonly allowPrivate: boolean;
  /** 32 bytes (Ed25519). */
  readonly privateKey: Buffer;
}

export interface StoredDelivery {
  readonly id: string;
  readonly targetId: string;
  /** Exactly what is sent: an AlertMessage in JSON. */
  readonly body: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly createdAtMs: number;
  readonly nextAtMs: number | null;
}

/** Each change of the owner's is put on record with it. */
export interface AlertStore {
  /** Puts the defaults there, unless there has been anything. */
  seed(rules: readonly AlertRule[], atMs: number): void;
  rules(): AlertRule[];
  setRule(rule: AlertRule, atMs: number): void;
  /** Whether there was one. */
  removeRule(id: string): boolean;
  targets(): StoredTarget[];
  setTarget(target: StoredTarget): void;
  /** Whether there was one. What waits for it goes with it. */
  removeTarget(id: string): boolean;
  /** It takes nothing any more: it is marked, and what waits for it is given up. */
  gone(target: StoredTarget): void;
  /** Adds deliveries, and drops what is over beyond `keep` rows or from before `beforeMs`. */
  add(deliveries: readonly StoredDelivery[], keep: number, beforeMs: number): void;
  update(delivery: Pick<StoredDelivery, 'id' | 'state' | 'attempts' | 'lastError' | 'nextAtMs'>): void;
  /** These are not tried again; that is put on record once. */
  giveUp(targetId: string, ids: readonly string[], reason: string): void;
  /** What waits, the oldest first. */
  waiting(): StoredDelivery[];
  /** The newest first. */
  list(query: {
    readonly state: DeliveryState | null;
    readonly before: string | null;
    readonly limit: number;
  }): StoredDelivery[];
}

export function createAlertStore(db: SecurityDb, audit: AuditWriter): AlertStore {
  const { alertRules, alertTargets, alertDeliveries: deliveries } = securitySchema;

  const insertRule = (rule: AlertRule, updatedAtMs: number) => {
    const row = { id: rule.id, ruleJson: JSON.stringify(rule), updatedAtMs };
    return db.insert(alertRules).values(row).onConflictDoUpdate({ target: alertRules.id, set: row });
  };
  const upsertTarget = (target: StoredTarget) => {
    const row = rowOf(target);
    return db.insert(alertTargets).values(row).onConflictDoUpdate({ target: alertTargets.id, set: row });
  };

  return {
    seed(rules, atMs) {
      // The log cannot be removed: where it is, somebody was here before.
      if (db.select({ id: alertTargets.id }).from(alertTargets).limit(1).get() !== undefined) return;
      db.transaction(() => {
        upsertTarget({ id: LOG_TARGET, webhook: null, isGone: false, updatedAtMs: atMs }).run();
        for (const rule of rules) insertRule(rule, atMs).run();
      });
    },

    rules: () =>
      db
        .select()
        .from(alertRules)
        .orderBy(asc(alertRules.id))
        .all()
        .flatMap(({ id, ruleJson }) => ruleIn(id, ruleJson)),

    setRule(rule, atMs) {
      const { id, ...details } = rule;
      db.transaction(() => {
        insertRule(rule, atMs).run();
        audit.write({ type: 'alert.rule_set', severity: 'medium', target: `alert-rule:${id}`, details });
      });
    },

    removeRule(id) {
      return db.transaction((tx) => {
        const isGone = tx.delete(alertRules).where(eq(alertRules.id, id)).run().changes > 0;
        if (isGone)
          audit.write({
            type: 'alert.rule_removed',
            severity: 'medium',
            target: `alert-rule:${id}`,
            details: null,
          });
        return isGone;
      });
    },

    targets: () =>
      db
        .select()
        .from(alertTargets)
        .orderBy(asc(alertTargets.id))
        .all()
        .flatMap(({ id, targetJson, privateKey, updatedAtMs }) =>
          targetIn(id, targetJson, privateKey, updatedAtMs),
        ),

    setTarget(target) {
      db.transaction(() => {
        upsertTarget(target).run();
        audit.write(changed(target));
      });
    },

    removeTarget(id) {
      return db.transaction((tx) => {
        const isGone = tx.delete(alertTargets).where(eq(alertTargets.id, id)).run().changes > 0;
        if (!isGone) return false;
        tx.delete(deliveries)
          .where(and(eq(deliveries.targetId, id), eq(deliveries.state, 'waiting')))
          .run();
        audit.write({
          type: 'alert.target_removed',
          severity: 'medium',
          target: `alert-target:${id}`,
          details: null,
        });
        return true;
      });
    },

    gone(target) {
      db.transaction((tx) => {
        upsertTarget({ ...target, isGone: true }).run();
        tx.update(deliveries)
          .set({ state: 'failed', nextAtMs: null, lastError: 'the target is gone' })
          .where(and(eq(deliveries.targetId, target.id), eq(deliveries.state, 'waiting')))
          .run();
        audit.write(changed({ ...target, isGone: true }));
      });
    },

    add(added, keep, beforeMs) {
      db.transaction((tx) => {
        for (const delivery of added) tx.insert(deliveries).values(deliveryRow(delivery)).run();
        const newest = tx
          .select({ id: deliveries.id })
          .from(deliveries)
          .where(ne(deliveries.state, 'waiting'))
          .orderBy(desc(deliveries.id))
          .limit(keep);
        const isOver = ne(deliveries.state, 'waiting');
        tx.delete(deliveries)
          .where(and(isOver, lt(deliveries.createdAtMs, beforeMs)))
          .run();
        tx.delete(deliveries)
          .where(and(isOver, notInArray(deliveries.id, newest)))
          .run();
      });
    },

    update({ id, state, attempts, lastError, nextAtMs }) {
      db.update(deliveries).set({ state, attempts, lastError, nextAtMs }).where(eq(deliveries.id, id)).run();
    },

    giveUp(targetId, ids, reason) {
      db.transaction((tx) => {
        tx.update(deliveries)
          .set({ state: 'failed', nextAtMs: null, lastError: reason })
          .where(inArray(deliveries.id, [...ids]))
          .run();
        const details = { deliveries: ids.length, first: ids[0] ?? null, reason };
        audit.write({
          type: 'alert.undelivered',
          severity: 'high',
          target: `alert-target:${targetId}`,
          details,
        });
      });
    },

    waiting: () =>
      db
        .select()
        .from(deliveries)
        .where(eq(deliveries.state, 'waiting'))
        .orderBy(asc(deliveries.id))
        .all()
        .map(deliveryOf),

    list({ state, before, limit }) {
      return db
        .select()
        .from(deliveries)
        .where(
          and(
            state === null ? undefined : eq(deliveries.state, state),
            before === null ? undefined : lt(deliveries.id, before),
          ),
        )
        .orderBy(desc(deliveries.id))
        .limit(limit)
        .all()
        .map(deliveryOf);
    },
  };
}

/** Where it leads is told by its host: what stands behind it may be a secret. */
function changed({ id, webhook, isGone }: StoredTarget): AuditEvent {
  const details =
    webhook === null
      ? { kind: 'log' }
      : {
          kind: 'webhook',
          host: URL.parse(webhook.url)?.host ?? null,
          allow_private: webhook.allowPrivate,
          gone: isGone,
        };
  return { type: 'alert.target_set', severity: 'medium', target: `alert-target:${id}`, details };
}

function rowOf({
  id,
  webhook,
  isGone,
  updatedAtMs,
}: StoredTarget): typeof securitySchema.alertTargets.$inferInsert {
  const target =
    webhook === null
      ? { kind: 'log' }
      : { kind: 'webhook', url: webhook.url, allow_private: webhook.allowPrivate, gone: isGone };
  return { id, targetJson: JSON.stringify(target), privateKey: webhook?.privateKey ?? null, updatedAtMs };
}

/** None where a newer version wrote it: nothing is sent where nobody knows how. */
function targetIn(id: string, text: string, privateKey: Buffer | null, updatedAtMs: number): StoredTarget[] {
  const json = parseJson(text);
  if (!isRecord(json)) return [];
  if (json.kind === 'log') return [{ id, webhook: null, isGone: false, updatedAtMs }];
  if (json.kind !== 'webhook' || typeof json.url !== 'string' || privateKey === null) return [];
  const webhook = { url: json.url, allowPrivate: json.allow_private === true, privateKey };
  return [{ id, webhook, isGone: json.gone === true, updatedAtMs }];
}

function ruleIn(id: string, text: string): AlertRule[] {
  const json = parseJson(text);
  if (!isRecord(json)) return [];
  const { threshold, enabled, targets } = json;
  const event: EventName | undefined = ALERT_EVENTS.find((known) => known === json.event_type);
  const severity: AlertSeverity | undefined = ALERT_SEVERITIES.find((known) => known === json.severity);
  if (event === undefined || severity === undefined) return [];
  return [
    {
      id,
      event_type: event,
      severity,
      threshold: typeof threshold === 'number' ? threshold : null,
      enabled: enabled === true,
      targets: Array.isArray(targets) ? targets.filter((target) => typeof target === 'string') : [],
    },
  ];
}

function deliveryRow({
  body,
  ...delivery
}: StoredDelivery): typeof securitySchema.alertDeliveries.$inferInsert {
  return { ...delivery, eventJson: body };
}

function deliveryOf({
  eventJson,
  state,
  ...row
}: typeof securitySchema.alertDeliveries.$inferSelect): StoredDelivery {
  return { ...row, body: eventJson, state: DELIVERY_STATES.find((known) => known === state) ?? 'failed' };
}
