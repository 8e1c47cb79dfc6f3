/** Shapes of the API-keys API, and what the CLI needs of it. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';

/** Scopes that a key can be given; the admin API's own are not among them (yet: operators come later). */
export const KEY_SCOPES = ['inference', 'metrics', 'engine-admin'] as const;

const Scope = oneOf(KEY_SCOPES);
const Time = Type.String({ format: 'date-time', examples: ['2026-11-23T12:00:00.000Z'] });
const OptionalTime = nullable(Time);

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
/** 100 years: long enough to mean what was typed, short enough for a date. */
const MAX_SECONDS = 3_155_760_000;

export const KeyInput = Type.Object(
  {
    label: Label,
    scopes: Type.Optional(Type.Array(Scope, { minItems: 1, uniqueItems: true })),
    models: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 320 }), { minItems: 1, maxItems: 1_000 }),
    ),
    expires_in_s: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_SECONDS })),
  },
  { additionalProperties: false },
);
export type KeyInput = Static<typeof KeyInput>;

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
  /** @throws KEY_NOT_FOUND, KEY_ALREADY_REVOKED */
  revoke(id: string): Promise<RevokedKey>;
}
