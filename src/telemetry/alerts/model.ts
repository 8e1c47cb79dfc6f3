/** Shapes of alerts: rules, targets, what is on its way, and what the owner can do with them (FLM-117, HL-134). */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../../lib/schema';

/** What FLM can tell of. Each is made of what the rooms say on the bus (sources.ts). */
export const ALERT_EVENTS = [
  'intrusion',
  'anomaly',
  'rate_limit',
  'api_error',
  'ban',
  'auth_failure',
  'policy',
  'resource',
] as const;
export type AlertEvent = (typeof ALERT_EVENTS)[number];

/** From the least to the most severe. */
export const ALERT_SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;
export type AlertSeverity = (typeof ALERT_SEVERITIES)[number];

/** The target that is always there: FLM's own log. */
export const LOG_TARGET = 'log';

export const MAX_RULES = 50;
export const MAX_TARGETS = 20;

/** What it is made of is checked where one is made. */
export const AlertId = Type.String({ minLength: 1, maxLength: 100 });
const Time = Type.String({ format: 'date-time' });
const TargetIds = Type.Array(AlertId, { maxItems: MAX_TARGETS, uniqueItems: true });
const Threshold = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const THRESHOLD =
  'From which score (intrusion, anomaly) or number of events in a minute it fires. null: every event of at least that severity.';

export const AlertRule = Type.Object(
  {
    id: AlertId,
    event_type: oneOf(ALERT_EVENTS),
    severity: oneOf(ALERT_SEVERITIES),
    threshold: nullable(Threshold, { description: THRESHOLD }),
    enabled: Type.Boolean(),
    targets: TargetIds,
  },
  { description: 'What somebody is told of, and where.' },
);
export type AlertRule = Static<typeof AlertRule>;

export const AlertRuleList = Type.Object(
  { items: Type.Array(AlertRule), next: Type.Null() },
  { description: 'All alert rules, by id.' },
);
export type AlertRuleList = Static<typeof AlertRuleList>;

export const AlertRuleInput = Type.Object(
  {
    event_type: Type.Optional(oneOf(ALERT_EVENTS)),
    severity: Type.Optional(oneOf(ALERT_SEVERITIES)),
    threshold: Type.Optional(nullable(Threshold, { description: THRESHOLD })),
    enabled: Type.Optional(Type.Boolean()),
    targets: Type.Optional(TargetIds),
  },
  {
    additionalProperties: false,
    description: 'A new rule needs event_type and severity. What is left out of an old one stays.',
  },
);
export type AlertRuleInput = Static<typeof AlertRuleInput>;

export const AlertTarget = Type.Object(
  {
    id: AlertId,
    kind: oneOf(['log', 'webhook']),
    url: nullable(Type.String(), { description: 'Without what stands behind the host: it may be a secret.' }),
    allow_private: Type.Boolean(),
    public_key: nullable(Type.String({ examples: ['whpk_MCowBQYDK2Vw...'] }), {
      description: 'Verifies what FLM sends there (Standard Webhooks, Ed25519).',
    }),
    enabled: Type.Boolean({ description: 'False: it answered 410 Gone. Set it again to go on.' }),
    updated_at: Time,
  },
  { description: 'Where alerts go.' },
);
export type AlertTarget = Static<typeof AlertTarget>;

export const AlertTargetList = Type.Object(
  { items: Type.Array(AlertTarget), next: Type.Null() },
  { description: 'All targets of alerts, by id.' },
);
export type AlertTargetList = Static<typeof AlertTargetList>;

export const AlertTargetInput = Type.Object(
  {
    url: Type.String({ minLength: 8, maxLength: 2_000, examples: ['https://hooks.example/flm'] }),
    allow_private: Type.Optional(
      Type.Boolean({
        description: 'Whether it may be an address of this machine or network. Default: false.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type AlertTargetInput = Static<typeof AlertTargetInput>;

export const AlertRemoved = Type.Object(
  { id: AlertId, removed: Type.Literal(true) },
  { description: 'It is gone.' },
);
export type AlertRemoved = Static<typeof AlertRemoved>;

export const DELIVERY_STATES = ['waiting', 'sent', 'failed'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export const AlertDelivery = Type.Object(
  {
    id: Type.String({ description: 'As in the header webhook-id.' }),
    target: AlertId,
    type: Type.String({ examples: ['alert.firing'] }),
    message: Type.String(),
    state: oneOf(DELIVERY_STATES),
    attempts: Type.Integer(),
    last_error: nullable(Type.String()),
    created_at: Time,
    next_at: nullable(Time, { description: 'When it is tried again.' }),
  },
  { description: 'An alert on its way to a target, or what became of it.' },
);
export type AlertDelivery = Static<typeof AlertDelivery>;

export const AlertDeliveryList = Type.Object(
  { items: Type.Array(AlertDelivery), next: nullable(Type.String()) },
  { description: 'Deliveries, the newest first.' },
);
export type AlertDeliveryList = Static<typeof AlertDeliveryList>;

export const AlertDeliveryQuery = Type.Object(
  {
    state: Type.Optional(oneOf(DELIVERY_STATES)),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: 'Default: 100.' })),
    cursor: Type.Optional(Type.String({ maxLength: 100 })),
  },
  { additionalProperties: false },
);
export type AlertDeliveryQuery = Static<typeof AlertDeliveryQuery>;

export const AlertTestInput = Type.Object(
  { target: Type.Optional(AlertId) },
  { additionalProperties: false, description: 'Left out: all targets.' },
);
export type AlertTestInput = Static<typeof AlertTestInput>;

export const AlertTestReport = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        target: AlertId,
        ok: Type.Boolean(),
        id: Type.String({ description: 'As in the header webhook-id.' }),
        status: nullable(Type.Integer(), { description: 'What came back; null where nothing did.' }),
        answer: nullable(Type.String(), { description: 'The beginning of the answer.' }),
        error: nullable(Type.String()),
        duration_ms: Type.Integer(),
      }),
    ),
    next: Type.Null(),
  },
  { description: 'What came of a test message to each target.' },
);
export type AlertTestReport = Static<typeof AlertTestReport>;

/** What the owner can do with alerts, whether FLM runs or not. */
export interface AlertsApi {
  rules(): Promise<AlertRuleList>;
  /** Makes a rule, or changes one. @throws INVALID_INPUT, ALERT_TARGET_NOT_FOUND */
  setRule(id: string, input: AlertRuleInput): Promise<AlertRule>;
  /** @throws ALERT_RULE_NOT_FOUND */
  removeRule(id: string): Promise<AlertRemoved>;
  targets(): Promise<AlertTargetList>;
  /** Makes a webhook with a key pair of its own, or changes where an old one leads. @throws INVALID_INPUT, EGRESS_REFUSED */
  setTarget(id: string, input: AlertTargetInput): Promise<AlertTarget>;
  /** @throws ALERT_TARGET_NOT_FOUND, ALERT_TARGET_IN_USE */
  removeTarget(id: string): Promise<AlertRemoved>;
  deliveries(query: AlertDeliveryQuery): Promise<AlertDeliveryList>;
  /** Sends a message at once, and says what came back. @throws ALERT_TARGET_NOT_FOUND */
  test(input: AlertTestInput): Promise<AlertTestReport>;
}

/** One message: what is signed and sent, whatever becomes of it. */
export interface AlertMessage {
  readonly type: 'alert.firing' | 'alert.ongoing' | 'alert.resolved' | 'alert.test';
  /** When it happened, which need not be when it is sent. */
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>> & { readonly message: string };
}
