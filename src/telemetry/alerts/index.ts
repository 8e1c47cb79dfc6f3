/**
 * Alerts (FLM-117, HL-134): rules held against what happens, and the targets that are told: FLM's own log, and webhooks
 * signed as Standard Webhooks has it. The bus says what happened; nothing here is in the way of a request.
 */
import type { Clock } from '../../contract';
import type { Bus } from '../../lib/bus';
import { FlmError } from '../../lib/errors';
import { newId } from '../../lib/ids';
import { isRecord, parseJson } from '../../lib/json';
import type { Log } from '../../lib/log';
import { createDeliveries, type DeliveryCounts, type PostWebhook } from './deliveries';
import { createEpisodes } from './episodes';
import { messageOf, testMessage } from './message';
import {
  type AlertDelivery,
  type AlertRule,
  type AlertRuleInput,
  type AlertsApi,
  type AlertTarget,
  type AlertTargetInput,
  LOG_TARGET,
  MAX_RULES,
  MAX_TARGETS,
} from './model';
import { newSigningKey, publicKeyOf } from './sign';
import { listenTo } from './sources';
import type { AlertStore, StoredDelivery, StoredTarget } from './store';

export interface AlertsOptions {
  readonly store: AlertStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly post: PostWebhook;
  /** @throws EGRESS_REFUSED when nothing may be sent there */
  readonly checkUrl: (url: string, allowPrivate: boolean) => Promise<void>;
  readonly config: () => { readonly 'alerts.client_ips': 'masked' | 'full' };
  readonly host: string;
  readonly version: string;
  readonly random: () => number;
}

export interface Alerts extends AlertsApi {
  /** Watches the bus, and sends what waits. */
  start(): void;
  /** Leaves both to another process. */
  pause(): Promise<void>;
  counts(): DeliveryCounts & { readonly raised: number };
  /** What would have happened by now happens; resolves when all that is due was tried. */
  work(): Promise<void>;
  close(): Promise<void>;
}

/** FLM-117's defaults. */
export const DEFAULT_RULES: readonly AlertRule[] = [
  {
    id: 'intrusion-critical',
    event_type: 'intrusion',
    severity: 'critical',
    threshold: 90,
    enabled: true,
    targets: [LOG_TARGET],
  },
  {
    id: 'intrusion-high',
    event_type: 'intrusion',
    severity: 'high',
    threshold: 70,
    enabled: true,
    targets: [LOG_TARGET],
  },
  {
    id: 'anomaly-critical',
    event_type: 'anomaly',
    severity: 'critical',
    threshold: null,
    enabled: true,
    targets: [LOG_TARGET],
  },
];

const DEFAULT_LIMIT = 100;
/** The beginning of an answer that a test shows. */
const SHOWN_ANSWER = 200;

export function createAlerts(options: AlertsOptions): Alerts {
  const { store, bus, clock, log, post, checkUrl, config, host, version, random } = options;
  store.seed(DEFAULT_RULES, clock.nowMs());
  let rules = store.rules();
  let targets = store.targets();
  let raised = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let unlisten: (() => void) | null = null;

  const iso = (ms: number) => new Date(ms).toISOString();
  const findTarget = (id: string) => targets.find((target) => target.id === id) ?? null;

  const deliveries = createDeliveries({
    store,
    post,
    clock,
    log,
    random,
    newId,
    version,
    findTarget,
    onGone(target) {
      log.error('a target of alerts is gone, and is told nothing more', { target: target.id });
      try {
        store.gone(target);
      } catch (error) {
        log.error('that a target is gone could not be written down', { error });
      }
      targets = targets.map((each) => (each.id === target.id ? { ...each, isGone: true } : each));
    },
  });

  const episodes = createEpisodes({
    newId,
    tell(alert) {
      if (alert.state === 'firing') raised++;
      const [wallMs, nowMs] = [clock.nowMs(), clock.monotonicMs()];
      const timeOf = (ms: number) => iso(Math.round(wallMs - (nowMs - ms)));
      const fullIps = config()['alerts.client_ips'] === 'full';
      deliveries.send(messageOf(alert, { fullIps, host, timeOf }), alert.targets);
    },
  });

  function schedule(): void {
    const nextMs = unlisten === null ? null : episodes.nextMs();
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (nextMs === null) return;
    timer = setTimeout(advance, Math.max(0, nextMs - clock.monotonicMs()));
    timer.unref();
  }

  function advance(): void {
    timer = null;
    episodes.advance(clock.monotonicMs());
    schedule();
  }

  /** As the database has it: another process may have changed it. */
  function read(): void {
    rules = store.rules();
    targets = store.targets();
    episodes.use(rules);
  }

  async function pause(): Promise<void> {
    unlisten?.();
    unlisten = null;
    schedule();
    episodes.clear();
    await deliveries.stop();
  }

  function requireTargets(ids: readonly string[]): void {
    for (const id of ids) requireTarget(id);
  }

  function requireTarget(id: string): StoredTarget {
    const target = findTarget(id);
    if (target === null) throw new FlmError('ALERT_TARGET_NOT_FOUND', { meta: { id } });
    return target;
  }

  function ruleFrom(id: string, input: AlertRuleInput): AlertRule {
    const old = rules.find((rule) => rule.id === id);
    const { event_type: event = old?.event_type, severity = old?.severity } = input;
    if (event === undefined) throw missing('event_type');
    if (severity === undefined) throw missing('severity');
    const { threshold = old?.threshold ?? null, enabled = old?.enabled ?? true } = input;
    const { targets: wanted = old?.targets ?? [LOG_TARGET] } = input;
    return { id, event_type: event, severity, threshold, enabled, targets: wanted };
  }

  return {
    async rules() {
      return { items: rules, next: null };
    },

    async setRule(id, input) {
      checkId(id);
      const rule = ruleFrom(id, input);
      requireTargets(rule.targets);
      if (rules.length >= MAX_RULES && !rules.some((each) => each.id === id))
        throw tooMany('rule', MAX_RULES);
      store.setRule(rule, clock.nowMs());
      read();
      return rule;
    },

    async removeRule(id) {
      if (!store.removeRule(id)) throw new FlmError('ALERT_RULE_NOT_FOUND', { meta: { id } });
      read();
      return { id, removed: true };
    },

    async targets() {
      return { items: targets.map(viewOf), next: null };
    },

    async setTarget(id, { url, allow_private: allowPrivate = false }: AlertTargetInput) {
      if (id === LOG_TARGET) throw invalid('id', 'that is the log of FLM itself; choose another name');
      checkId(id);
      const old = findTarget(id);
      if (old === null && targets.length >= MAX_TARGETS) throw tooMany('target', MAX_TARGETS);
      if (URL.parse(url)?.protocol === 'http:' && !allowPrivate)
        throw invalid('url', 'it must begin with https://; http is for your own network (--allow-private)');
      await checkUrl(url, allowPrivate);
      // Its receiver has the public key of the first time.
      const privateKey = old?.webhook?.privateKey ?? newSigningKey();
      const webhook = { url, allowPrivate, privateKey };
      const target: StoredTarget = { id, webhook, isGone: false, updatedAtMs: clock.nowMs() };
      store.setTarget(target);
      read();
      return viewOf(target);
    },

    async removeTarget(id) {
      requireTarget(id);
      if (id === LOG_TARGET) throw invalid('id', 'the log is always there; take it out of the rules instead');
      const users = rules.filter((rule) => rule.targets.includes(id)).map((rule) => rule.id);
      if (users.length > 0)
        throw new FlmError('ALERT_TARGET_IN_USE', { meta: { id, rules: users.join(', ') } });
      store.removeTarget(id);
      deliveries.drop(id);
      read();
      return { id, removed: true };
    },

    async deliveries({ state = null, limit = DEFAULT_LIMIT, cursor = null }) {
      const rows = store.list({ state, before: cursor, limit: limit + 1 });
      const items = rows.slice(0, limit);
      return {
        items: items.map(deliveryView),
        next: rows.length > limit ? (items.at(-1)?.id ?? null) : null,
      };
    },

    async test({ target }) {
      const asked = target === undefined ? targets : [requireTarget(target)];
      const items = await Promise.all(
        asked.map(async (each) => {
          const startedMs = clock.monotonicMs();
          const answer = await deliveries.sendNow(testMessage(host, iso(clock.nowMs())), each);
          return {
            target: each.id,
            ok: answer.error === null,
            id: answer.id,
            status: answer.status,
            answer: answer.text === '' ? null : answer.text.slice(0, SHOWN_ANSWER),
            error: answer.error,
            duration_ms: Math.round(clock.monotonicMs() - startedMs),
          };
        }),
      );
      return { items, next: null };
    },

    start() {
      read();
      unlisten ??= listenTo(bus, {
        wants: episodes.wants,
        note(occurrence) {
          episodes.note(occurrence, clock.monotonicMs());
          // While it is set, it is early enough: what goes on ends later.
          if (timer === null) schedule();
        },
        recover(event, subject) {
          episodes.recover(event, subject, clock.monotonicMs());
        },
      });
      deliveries.start();
    },

    pause,

    counts: () => ({ ...deliveries.counts(), raised }),

    async work() {
      if (unlisten !== null) advance();
      await deliveries.work();
    },

    close: pause,
  };
}

function viewOf({ id, webhook, isGone, updatedAtMs }: StoredTarget): AlertTarget {
  return {
    id,
    kind: webhook === null ? 'log' : 'webhook',
    url: webhook === null ? null : hostOf(webhook.url),
    allow_private: webhook?.allowPrivate ?? false,
    public_key: webhook === null ? null : publicKeyOf(webhook.privateKey),
    enabled: !isGone,
    updated_at: new Date(updatedAtMs).toISOString(),
  };
}

/** Webhooks of chat programs carry their secret in the path. */
function hostOf(text: string): string | null {
  const url = URL.parse(text);
  if (url === null) return null;
  return url.pathname === '/' && url.search === '' ? url.origin : `${url.origin}/…`;
}

function deliveryView({ id, targetId, body, ...row }: StoredDelivery): AlertDelivery {
  const json = parseJson(body);
  const { type, data } = isRecord(json) ? json : {};
  const message = isRecord(data) ? data.message : null;
  return {
    id,
    target: targetId,
    type: typeof type === 'string' ? type : '',
    message: typeof message === 'string' ? message : '',
    state: row.state,
    attempts: row.attempts,
    last_error: row.lastError,
    created_at: new Date(row.createdAtMs).toISOString(),
    next_at: row.nextAtMs === null ? null : new Date(row.nextAtMs).toISOString(),
  };
}

function checkId(id: string): void {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) throw invalid('id', 'it takes 1 to 64 letters, digits, - and _');
}

function missing(field: string): FlmError {
  return invalid(field, 'a new rule needs it');
}

function tooMany(what: string, limit: number): FlmError {
  return invalid('id', `there are ${limit} ${what}s already; remove one first`);
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
