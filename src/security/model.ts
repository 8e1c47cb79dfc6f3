/** Shapes of the abuse protection API, and what the CLI needs of it (FLM-026, FLM-029, FLM-030). */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';
import { FEATURES } from './rules';

const Time = Type.String({ format: 'date-time' });
const OptionalTime = nullable(Time);
const Source = Type.String({
  minLength: 1,
  maxLength: 60,
  description: 'An address, or a network such as 203.0.113.0/24. An IPv6 address stands for its /64.',
});
const Next = nullable(Type.String(), {
  description: 'The cursor of the rows after these; null after the last.',
});
/** 100 years. */
const MAX_SECONDS = 3_155_760_000;

export const BanView = Type.Object(
  {
    ip: Type.String({ description: 'An address or a network.', examples: ['203.0.113.7', '2001:db8::/64'] }),
    automatic: Type.Boolean({
      description:
        'By FLM itself: then it holds for requests without a valid key only. By the owner: for all.',
    }),
    reason: Type.String(),
    blocked_at: Time,
    blocked_until: nullable(Time, { description: 'Null: until somebody lifts it.' }),
    permanent_block: Type.Boolean(),
    blocked_by: Type.String(),
    failure_count: Type.Integer({ description: 'Failed authentications that were not forgotten yet.' }),
    first_failure_at: OptionalTime,
    refused: Type.Integer({ description: 'Requests that it has refused since FLM started.' }),
    last_attempt: nullable(Time, { description: 'The last request that it has refused.' }),
  },
  { description: 'Somebody who is refused.' },
);
export type BanView = Static<typeof BanView>;

export const BanList = Type.Object(
  { items: Type.Array(BanView), next: Next },
  { description: 'Who is refused, the newest first.' },
);
export type BanList = Static<typeof BanList>;

const Limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: 'Default: 100.' }));
const Offset = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: 1_000_000,
    description: 'Rows to pass over. A cursor misses nothing.',
  }),
);
const Cursor = Type.Optional(Type.String({ minLength: 1, maxLength: 120 }));

export const BanQuery = Type.Object({ limit: Limit, cursor: Cursor });
export type BanQuery = Static<typeof BanQuery>;

export const BanInput = Type.Object(
  {
    ip: Source,
    reason: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    for_s: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_SECONDS, description: 'Left out: until somebody lifts it.' }),
    ),
    force: Type.Optional(
      Type.Boolean({
        description:
          'Also a network that holds somebody who used FLM with a key lately, or one wider than /8 (IPv6: /16).',
      }),
    ),
  },
  { additionalProperties: false },
);
export type BanInput = Static<typeof BanInput>;

export const SourceQuery = Type.Object({ ip: Source });

export const Unbanned = Type.Object(
  {
    ip: Type.String(),
    unblocked: Type.Literal(true),
    still_blocked_by: nullable(Type.String(), { description: 'A ban of a wider network that holds on.' }),
  },
  { description: 'Its own ban is lifted, and what it did is forgotten.' },
);
export type Unbanned = Static<typeof Unbanned>;

export const BansCleared = Type.Object(
  {
    cleared: Type.Literal(true),
    lifted: Type.Integer(),
    kept: Type.Integer({ description: 'Those without an end, which are lifted one by one.' }),
  },
  { description: 'Nobody is refused any more whose ban would have ended by itself.' },
);
export type BansCleared = Static<typeof BansCleared>;

export const AddressStanding = Type.Object(
  {
    ip: Type.String({ description: 'The unit in which strangers are counted: an address, or an IPv6 /64.' }),
    blocked: nullable(BanView, { description: 'The ban that holds for it.' }),
    never_blocked: Type.Boolean({ description: 'This machine, or on the list ip_blocklist.never.' }),
    allowed: Type.Boolean({ description: 'Whether ip_whitelist lets it in.' }),
    failure_count: Type.Number({
      description: 'Failed authentications; a slip counts half, one an hour is forgotten.',
    }),
    first_failure_at: OptionalTime,
    intrusion_score: Type.Number({ description: 'Fades by one a minute.' }),
    anomaly_score: Type.Number({ description: 'Fades by one a minute.' }),
    previous_blocks: Type.Integer(),
  },
  { description: 'How an address stands.' },
);
export type AddressStanding = Static<typeof AddressStanding>;

const SignalFilter = { ip: Type.Optional(Source), limit: Limit, offset: Offset, cursor: Cursor };

export const IntrusionQuery = Type.Object({
  ...SignalFilter,
  min_score: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 })),
});
export type IntrusionQuery = Static<typeof IntrusionQuery>;

export const AnomalyQuery = Type.Object({
  ...SignalFilter,
  anomaly_type: Type.Optional(Type.String({ pattern: '^[a-z_]{1,60}$' })),
});
export type AnomalyQuery = Static<typeof AnomalyQuery>;

const OptionalText = nullable(Type.String());

export const IntrusionList = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        id: Type.Integer(),
        ip: Type.String(),
        pattern: Type.String({ examples: ['sql_injection', 'honeypot_access'] }),
        score: Type.Number(),
        total: Type.Number({ description: 'The score of the address with it.' }),
        request_path: OptionalText,
        user_agent: OptionalText,
        method: OptionalText,
        request_id: OptionalText,
        repeated: Type.Integer({ description: 'How often it came since the row before of that address.' }),
        created_at: Time,
      }),
    ),
    next: Next,
  },
  {
    description:
      'What strangers did to find a way in, the newest first. The same of the same address has one row in ten minutes.',
  },
);
export type IntrusionList = Static<typeof IntrusionList>;

export const AnomalyList = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        id: Type.Integer(),
        ip: Type.String(),
        anomaly_type: Type.String({ examples: ['request_rate'] }),
        score: Type.Number(),
        total: Type.Number(),
        details: Type.Record(Type.String(), Type.Unknown()),
        created_at: Time,
      }),
    ),
    next: Next,
  },
  { description: 'What no client does, and what the machine had too little of; the newest first.' },
);
export type AnomalyList = Static<typeof AnomalyList>;

export const SecurityStats = Type.Object(
  {
    features: Type.Object(
      Object.fromEntries(
        FEATURES.map((feature) => [feature, oneOf(['on', 'off', 'automatic-on', 'automatic-off'])]),
      ) as Record<
        (typeof FEATURES)[number],
        ReturnType<typeof oneOf<'on' | 'off' | 'automatic-on' | 'automatic-off'>>
      >,
      { description: 'Automatic: as the policy says nothing, it is on while others can reach a listener.' },
    ),
    blocked_ips: Type.Object({
      automatic: Type.Integer(),
      by_owner: Type.Integer(),
      permanent: Type.Integer(),
    }),
    addresses: Type.Integer({ description: 'Addresses of strangers of which something is remembered.' }),
    held: Type.Integer({ description: 'Answers that are kept back at this moment.' }),
    scarce: nullable(oneOf(['CPU', 'memory']), { description: 'Why nothing new is taken at this moment.' }),
    last_24h: Type.Object({
      by_kind: Type.Object({
        intrusion: Type.Integer(),
        anomaly: Type.Integer(),
        honeypot: Type.Integer(),
        resource: Type.Integer(),
      }),
      by_severity: Type.Object({
        low: Type.Integer(),
        medium: Type.Integer(),
        high: Type.Integer(),
        critical: Type.Integer(),
      }),
      patterns: Type.Array(
        Type.Object({
          pattern: Type.String(),
          kind: oneOf(['intrusion', 'anomaly', 'honeypot', 'resource']),
          events: Type.Integer(),
          last_at: Time,
        }),
      ),
    }),
  },
  { description: 'What abuse protection does. Who strangers are, the lists say.' },
);
export type SecurityStats = Static<typeof SecurityStats>;

/** What the CLI needs of abuse protection, whether FLM runs or not. */
export interface SecurityApi {
  /** @throws INVALID_INPUT for a cursor that is none */
  bans(query: BanQuery): Promise<BanList>;
  /** @throws INVALID_INPUT for what is no network, and for whoever must not be banned; BAN_LOCKS_OUT unless forced */
  ban(input: BanInput): Promise<BanView>;
  /** @throws INVALID_INPUT, BAN_NOT_FOUND */
  unban(ip: string): Promise<Unbanned>;
  /** Lifts all bans that would end by themselves. */
  clearBans(): Promise<BansCleared>;
  /** @throws INVALID_INPUT */
  standing(ip: string): Promise<AddressStanding>;
  /** @throws INVALID_INPUT */
  intrusions(query: IntrusionQuery): Promise<IntrusionList>;
  /** @throws INVALID_INPUT */
  anomalies(query: AnomalyQuery): Promise<AnomalyList>;
  stats(): Promise<SecurityStats>;
}
