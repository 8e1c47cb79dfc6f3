/** The security policy: what strangers and clients may do here (FLM-109). One document, replaced as a whole. */
import { type Static, Type } from '@sinclair/typebox';

const MAX_NETWORKS = 10_000;
const MAX_PER_MINUTE = 1_000_000_000;
const MAX_SCORE = 1_000_000;

const Network = Type.String({ minLength: 1, maxLength: 60, examples: ['192.168.0.0/16', '2001:db8::7'] });

const networks = (description: string) =>
  Type.Optional(Type.Array(Network, { maxItems: MAX_NETWORKS, uniqueItems: true, default: [], description }));
const perMinute = (description: string, fallback?: number) =>
  Type.Integer({
    minimum: 0,
    maximum: MAX_PER_MINUTE,
    description,
    ...(fallback === undefined ? {} : { default: fallback }),
  });
const burst = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_PER_MINUTE, description }));
const whole = (minimum: number, maximum: number, fallback: number, description: string) =>
  Type.Optional(Type.Integer({ minimum, maximum, default: fallback, description }));
const percent = (description: string) => whole(1, 100, 90, description);
const enabled = (what: string) =>
  Type.Optional(
    Type.Boolean({
      description: `${what} Left out: on as soon as a listener can be reached from other machines, off otherwise.`,
    }),
  );

/** Who may read answers in a browser. */
const Cors = Type.Object(
  {
    allowed_origins: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 300 }), {
        maxItems: 1_000,
        uniqueItems: true,
        default: [],
        examples: [['https://chat.example', 'localhost']],
        description:
          'Web pages that may use FLM: scheme://host[:port], a domain (its https:// pages), localhost (every port of it), or * for all.',
      }),
    ),
    allowed_methods: Type.Optional(
      Type.Array(Type.String({ pattern: '^[A-Z]{1,20}$' }), {
        maxItems: 20,
        default: ['GET', 'POST', 'OPTIONS'],
        description: 'Methods that such pages may use.',
      }),
    ),
    allowed_headers: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 100, pattern: "^[\\w!#$%&'*+.^`|~-]+$" }), {
        maxItems: 100,
        default: ['*'],
        description: 'Headers that such pages may send; * for those they ask for.',
      }),
    ),
    allow_credentials: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Whether browsers may send cookies along. Not together with the origin *.',
      }),
    ),
    max_age_s: whole(0, 86_400, 3_600, 'How long browsers may remember the answer to a preflight.'),
  },
  { description: 'Web pages of other origins.' },
);

export const PolicyDocument = Type.Object(
  {
    ip_whitelist: networks(
      'Who may come at all, as addresses and networks. Empty or left out: everybody. Holds before any key is looked at.',
    ),
    cors: Type.Optional(Cors),
    rate_limit: Type.Optional(
      Type.Object(
        {
          rpm: perMinute('Requests a minute. 0: no limit.'),
          burst: burst('Requests that may come at once. Left out: rpm.'),
        },
        {
          additionalProperties: false,
          description: 'Requests of each key that has no limit of its own. Left out: no limit.',
        },
      ),
    ),
    token_limit: Type.Optional(
      Type.Object(
        { tpm: perMinute('Tokens a minute. 0: no limit.') },
        {
          additionalProperties: false,
          description: 'Tokens of each key that has no limit of its own. Left out: no limit.',
        },
      ),
    ),
    ip_rate_limit: Type.Optional(
      Type.Object(
        {
          enabled: enabled('Whether requests of each address are limited.'),
          rpm: Type.Optional(perMinute('Requests a minute of each address, or IPv6 /64.', 1_000)),
          burst: burst('Requests that may come at once. Left out: rpm.'),
          applies_to: Type.Optional(
            Type.Union([Type.Literal('strangers'), Type.Literal('everybody')], {
              default: 'strangers',
              description:
                'Whose requests count: of those who do not authenticate, since many clients may share an address, or of everybody.',
            }),
          ),
        },
        { description: 'Requests of each address.' },
      ),
    ),
    global_rate_limit: Type.Optional(
      Type.Object(
        {
          rpm: perMinute('Requests a minute. 0: no limit.'),
          burst: burst('Requests that may come at once. Left out: rpm.'),
        },
        {
          additionalProperties: false,
          description: 'Requests of all clients together. Left out: no limit.',
        },
      ),
    ),
    models: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 320 }), {
        maxItems: 1_000,
        uniqueItems: true,
        examples: [['llama3.2', 'team-*', 'flm://ollama-default/*']],
        description:
          'The only models anybody may use, written as for keys: a name, an alias, flm://<engine>/<model>, or * at the end for the rest. Left out: all.',
      }),
    ),
    ip_blocklist: Type.Optional(
      Type.Object(
        {
          enabled: enabled('Whether addresses are banned by themselves.'),
          max_failures: whole(1, 10_000, 5, 'Wrong keys in a row after which an address is banned.'),
          block_duration_minutes: whole(
            1,
            525_600,
            30,
            'How long the first ban lasts. Later ones last longer.',
          ),
          permanent_block_threshold: whole(
            1,
            MAX_SCORE,
            20,
            'Wrong keys after which a ban lasts until you lift it.',
          ),
          never: networks('Who is never banned, whatever happens (FLM-117).'),
        },
        { description: 'Bans of those who guess keys. They hold only for requests without a valid key.' },
      ),
    ),
    intrusion_detection: Type.Optional(
      Type.Object(
        {
          enabled: enabled('Whether attacks are looked for in requests.'),
          score_threshold: whole(1, MAX_SCORE, 100, 'Points at which an address is banned.'),
          warning_threshold: whole(1, MAX_SCORE, 50, 'Points at which FLM warns.'),
        },
        { description: 'What scanners and attackers send.' },
      ),
    ),
    anomaly_detection: Type.Optional(
      Type.Object(
        {
          enabled: enabled('Whether unusual behaviour is looked for.'),
          request_rate_threshold: whole(1, MAX_SCORE, 100, 'Requests a second that are unusual.'),
          auto_block: Type.Optional(
            Type.Boolean({
              default: true,
              description: 'Whether that leads to a ban, or only to a warning.',
            }),
          ),
        },
        { description: 'What honest clients do not do.' },
      ),
    ),
    resource_protection: Type.Optional(
      Type.Object(
        {
          enabled: enabled('Whether new requests are refused (503) while the machine is at its limit.'),
          cpu_threshold: percent('Percent of the processors in use.'),
          memory_threshold: percent('Percent of the memory in use.'),
        },
        { description: 'The machine itself.' },
      ),
    ),
    connections: Type.Optional(
      Type.Object(
        {
          enabled: enabled('Whether connections are limited.'),
          max_per_address: whole(
            1,
            MAX_SCORE,
            256,
            'Connections without a request of one IPv4 address or IPv6 /64 (Linux).',
          ),
          header_timeout_s: whole(1, 3_600, 10, 'How long the headers of a request may take (Linux).'),
          min_body_bytes_per_s: whole(
            0,
            MAX_PER_MINUTE,
            1_024,
            'A body that stays behind this rate for 15 seconds is refused. 0: none is.',
          ),
        },
        {
          description:
            'Connections, and clients that are slow on purpose. Answers, streams too, are never cut.',
        },
      ),
    ),
    log_level: Type.Optional(
      Type.Union(
        [Type.Literal('low'), Type.Literal('medium'), Type.Literal('high'), Type.Literal('critical')],
        { default: 'low', description: 'Security events below this are counted and not logged.' },
      ),
    ),
  },
  {
    $id: 'https://flm.dev/schemas/security_policy.json',
    title: 'Security policy of FLM',
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
