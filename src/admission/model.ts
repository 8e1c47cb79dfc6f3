/** Shapes of the API-keys API, and what the CLI needs of it. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';

/** Scopes that a key can be given; the admin API's own are not among them (yet: operators come later). */
export const KEY_SCOPES = ['inference', 'metrics', 'engine-admin'] as const;

const Scope = oneOf(KEY_SCOPES);
const Time = Type.String({ format: 'date-time', examples: ['2026-11-23T12:00:00.000Z'] });
const OptionalTime = nullable(Time);

/** 100 years: long enough to mean what was typed, short enough for a date. */
const MAX_SECONDS = 3_155_760_000;

const Networks = Type.Array(Type.String({ minLength: 1, maxLength: 60 }), {
  minItems: 1,
  maxItems: 1_000,
  uniqueItems: true,
  description: 'Addresses and networks from which alone it may be used.',
  examples: [['192.168.0.0/16', '2001:db8::7']],
});
const Origins = Type.Array(Type.String({ minLength: 1, maxLength: 300 }), {
  minItems: 1,
  maxItems: 1_000,
  uniqueItems: true,
  description: 'Origins of web pages that alone may use it. "none": programs that send no Origin, too.',
  examples: [['https://app.example', 'none']],
});
const Certificates = Type.Array(
  Type.String({ minLength: 64, maxLength: 95, pattern: '^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$' }),
  {
    minItems: 1,
    maxItems: 1_000,
    uniqueItems: true,
    description:
      'SHA-256 of client certificates with one of which alone it may be used, over HTTPS of a proxy that asks for them.',
    examples: [['4f5e0a1b2c3d'.padEnd(64, '0')]],
  },
);
const PerMinute = Type.Integer({
  minimum: 0,
  maximum: 1_000_000_000,
  description: 'Of its own, in place of the policy’s. 0: no limit.',
});
const Burst = Type.Integer({
  minimum: 1,
  maximum: 1_000_000_000,
  description: 'Requests at once, which refill evenly. As many as per minute when left out.',
});
const Parallel = Type.Integer({
  minimum: 1,
  maximum: 1_000_000,
  description: 'Requests that may be under way at once.',
});
const RotateEvery = Type.Integer({
  minimum: 3_600,
  maximum: 315_576_000,
  description: 'It is replaced by itself after this many seconds. The new key waits to be collected.',
});
const RotateGrace = Type.Integer({
  minimum: 0,
  maximum: 31_536_000,
  description:
    'How long a key that was replaced by itself works on. A quarter of the time, at most a week, when left out.',
});

/** What is laid down for a key, as it is told. */
const Terms = {
  cidrs: nullable(Networks, { description: 'null = from anywhere.' }),
  origins: nullable(Origins, { description: 'null = any web page, and any program.' }),
  client_certificates: nullable(Certificates, { description: 'null = with any, and without.' }),
  requests_per_minute: nullable(PerMinute, { description: 'null = as the policy has it; 0 = no limit.' }),
  burst: nullable(Burst, { description: 'null = as many as per minute.' }),
  tokens_per_minute: nullable(PerMinute, { description: 'null = as the policy has it; 0 = no limit.' }),
  parallel_requests: nullable(Parallel, { description: 'null = no limit.' }),
  rotate_every_s: nullable(RotateEvery, { description: 'null = never by itself.' }),
  rotate_grace_s: nullable(RotateGrace),
};

export const ApiKey = Type.Object(
  {
    id: Type.String({ description: 'The eight characters after flm_.' }),
    label: Type.String(),
    status: oneOf(['active', 'expired', 'revoked']),
    scopes: Type.Array(Scope),
    models: nullable(Type.Array(Type.String()), { description: 'null = every model.' }),
    created_at: Time,
    expires_at: OptionalTime,
    revoked_at: nullable(Time, {
      description: 'May lie ahead after a rotation with grace.',
    }),
    rotated_from: nullable(Type.String()),
    ...Terms,
    is_uncollected: Type.Boolean({
      description: 'A rotation by itself made it, and nobody has fetched it yet.',
    }),
  },
  { description: 'An API key, without the key.' },
);
export type ApiKey = Static<typeof ApiKey>;

export const ApiKeyList = Type.Object(
  { items: Type.Array(ApiKey), next: Type.Null() },
  { description: 'All keys, newest first.' },
);
export type ApiKeyList = Static<typeof ApiKeyList>;

export const CreatedKey = Type.Object(
  {
    id: Type.String(),
    label: Type.String(),
    plain_key: Type.String({ description: 'The key. It is shown this once and kept nowhere.' }),
    scopes: Type.Array(Scope),
    models: nullable(Type.Array(Type.String())),
    created_at: Time,
    expires_at: OptionalTime,
    ...Terms,
  },
  { description: 'A new key.' },
);
export type CreatedKey = Static<typeof CreatedKey>;

export const RotatedKey = Type.Object(
  { ...CreatedKey.properties, old_key_id: Type.String(), old_key_valid_until: Time },
  { description: 'The key that replaces another.' },
);
export type RotatedKey = Static<typeof RotatedKey>;

export const RevokedKey = Type.Object(
  { id: Type.String(), revoked: Type.Literal(true) },
  { description: 'The key no longer works.' },
);
export type RevokedKey = Static<typeof RevokedKey>;

export const EphemeralKey = Type.Object(
  { plain_key: Type.String() },
  { description: 'A key that is gone after a minute.' },
);
export type EphemeralKey = Static<typeof EphemeralKey>;

const Label = Type.String({ minLength: 1, maxLength: 200 });
const Models = Type.Array(Type.String({ minLength: 1, maxLength: 320 }), { minItems: 1, maxItems: 1_000 });

export const KeyInput = Type.Object(
  {
    label: Label,
    scopes: Type.Optional(Type.Array(Scope, { minItems: 1, uniqueItems: true })),
    models: Type.Optional(Models),
    expires_in_s: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_SECONDS })),
    cidrs: Type.Optional(Networks),
    origins: Type.Optional(Origins),
    client_certificates: Type.Optional(Certificates),
    requests_per_minute: Type.Optional(PerMinute),
    burst: Type.Optional(Burst),
    tokens_per_minute: Type.Optional(PerMinute),
    parallel_requests: Type.Optional(Parallel),
    rotate_every_s: Type.Optional(RotateEvery),
    rotate_grace_s: Type.Optional(RotateGrace),
  },
  { additionalProperties: false },
);
export type KeyInput = Static<typeof KeyInput>;

export const KeyChange = Type.Object(
  {
    label: Type.Optional(Label),
    models: Type.Optional(nullable(Models)),
    cidrs: Type.Optional(nullable(Networks)),
    origins: Type.Optional(nullable(Origins)),
    client_certificates: Type.Optional(nullable(Certificates)),
    requests_per_minute: Type.Optional(nullable(PerMinute)),
    burst: Type.Optional(nullable(Burst)),
    tokens_per_minute: Type.Optional(nullable(PerMinute)),
    parallel_requests: Type.Optional(nullable(Parallel)),
    rotate_every_s: Type.Optional(nullable(RotateEvery)),
    rotate_grace_s: Type.Optional(nullable(RotateGrace)),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    description: 'What is to be otherwise; null takes it off. What is left out stays.',
  },
);
export type KeyChange = Static<typeof KeyChange>;

export const RotateInput = Type.Object(
  {
    label: Type.Optional(Label),
    grace_s: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 31_536_000, description: 'How long the old key goes on working.' }),
    ),
  },
  { additionalProperties: false },
);
export type RotateInput = Static<typeof RotateInput>;

/** What the CLI needs of the keys, whether FLM runs or not. */
export interface KeysApi {
  list(): Promise<ApiKeyList>;
  create(input: KeyInput): Promise<CreatedKey>;
  /** @throws KEY_NOT_FOUND, KEY_ALREADY_REVOKED */
  rotate(id: string, input: RotateInput): Promise<RotatedKey>;
  /** Changes a key that works; the next request goes by it. @throws KEY_NOT_FOUND, KEY_ALREADY_REVOKED, INVALID_INPUT */
  update(id: string, change: KeyChange): Promise<ApiKey>;
  /**
   * Hands over, once, the key that a rotation by itself has put in the place of `id`, or that `id` is itself.
   * @throws KEY_NOT_FOUND, KEY_NOT_WAITING
   */
  collect(id: string): Promise<CreatedKey>;
  /** @throws KEY_NOT_FOUND, KEY_ALREADY_REVOKED */
  revoke(id: string): Promise<RevokedKey>;
}
