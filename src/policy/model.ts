/** The security policy: what strangers and clients may do here (FLM-109). One document, replaced as a whole. */
import { type Static, Type } from '@sinclair/typebox';

const Percent = Type.Integer({ minimum: 1, maximum: 100 });
const PerMinute = Type.Integer({ minimum: 0, maximum: 1_000_000_000 });
const Burst = Type.Integer({ minimum: 0, maximum: 1_000_000_000 });
const Network = Type.String({ minLength: 1, maxLength: 60, examples: ['192.168.0.0/16', '2001:db8::7'] });
const Networks = Type.Array(Network, { maxItems: 100_000, uniqueItems: true });
const Enabled = Type.Optional(
  Type.Boolean({
    description: 'Left out: on as soon as a listener can be reached from other machines, off otherwise.',
  }),
);

export const PolicyDocument = Type.Object(
  {
    ip_whitelist: Type.Optional(
      Type.Array(Network, {
        ...Networks,
        description: 'Who may come at all, as addresses and networks. Empty or left out: everybody.',
      }),
    ),
    cors: Type.Optional(
      Type.Object({
        allowed_origins: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 300 }))),
        allowed_methods: Type.Optional(Type.Array(Type.String({ pattern: '^[A-Z]{1,20}$' }))),
        allowed_headers: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 100 }))),
        allow_credentials: Type.Optional(Type.Boolean()),
        max_age_s: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400 })),
      }),
    ),
    rate_limit: Type.Optional(
      Type.Object(
        { rpm: PerMinute, burst: Type.Optional(Burst) },
        {
          additionalProperties: false,
          description:
            'Requests of each key that has no limit of its own. rpm 0: no limit. burst: rpm when left out.',
        },
      ),
    ),
    token_limit: Type.Optional(
      Type.Object(
        { tpm: PerMinute },
        {
          additionalProperties: false,
          description: 'Tokens a minute of each key without a limit of its own.',
        },
      ),
    ),
    ip_rate_limit: Type.Optional(
      Type.Object({
        enabled: Enabled,
        rpm: Type.Optional(PerMinute),
        burst: Type.Optional(Burst),
        applies_to: Type.Optional(
          Type.Union([Type.Literal('strangers'), Type.Literal('everybody')], {
            description:
              'Whose requests count: of those who do not authenticate (default), since many clients may share an address, or of everybody.',
          }),
        ),
      }),
    ),
    global_rate_limit: Type.Optional(
      Type.Object(
        { rpm: PerMinute, burst: Type.Optional(Burst) },
        { additionalProperties: false, description: 'Requests of all clients together.' },
      ),
    ),
    models: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 320 }), {
        maxItems: 1_000,
        description: 'The only models anybody may use, as in lists of keys. Left out: all.',
      }),
    ),
    ip_blocklist: Type.Optional(
      Type.Object({
        enabled: Enabled,
        max_failures: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
        block_duration_minutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 525_600 })),
        permanent_block_threshold: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
        never: Type.Optional(
          Type.Array(Network, {
            ...Networks,
            description: 'Who is never banned, whatever happens (FLM-117).',
          }),
        ),
      }),
    ),
    intrusion_detection: Type.Optional(
      Type.Object({
        enabled: Enabled,
        score_threshold: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
        warning_threshold: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
      }),
    ),
    anomaly_detection: Type.Optional(
      Type.Object({
        enabled: Enabled,
        request_rate_threshold: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
        auto_block: Type.Optional(Type.Boolean()),
      }),
    ),
    resource_protection: Type.Optional(
      Type.Object({
        enabled: Enabled,
        cpu_threshold: Type.Optional(Percent),
        memory_threshold: Type.Optional(Percent),
      }),
    ),
    connections: Type.Optional(
      Type.Object({
        enabled: Enabled,
        max_per_address: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 1_000_000,
            description:
              'Connections without a request of one IPv4 address or IPv6 /64 (Linux). Default: 256.',
          }),
        ),
        header_timeout_s: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 3_600,
            description: 'How long the headers of a request may take (Linux). Default: 10.',
          }),
        ),
        min_body_bytes_per_s: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 1_000_000_000,
            description:
              'A body that stays behind this rate for 15 seconds is refused. 0: none is. Default: 1024.',
          }),
        ),
      }),
    ),
    log_level: Type.Optional(
      Type.Union(
        [Type.Literal('low'), Type.Literal('medium'), Type.Literal('high'), Type.Literal('critical')],
        { description: 'Security events below this are counted and not logged. Default: low.' },
      ),
    ),
  },
  {
    $id: 'https://flm.dev/schemas/security_policy.json',
    description: 'The security policy. What is left out has its default.',
  },
);
export type PolicyDocument = Static<typeof PolicyDocument>;

/** The policy that is in force. Frozen: a change makes another one, so whoever derived something from it compares by identity. */
export interface Policy {
  /** 1, 2, 3, …; 0 before anything was stored. */
  readonly version: number;
  readonly document: PolicyDocument;
}

/** What other rooms see of it. Null: it cannot be read or is not what was written, and nobody may do anything (FLM-006). */
export type CurrentPolicy = () => Policy | null;
