/** Shapes of the policy API, and what the CLI needs of it. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';
import { PolicyDocument } from './model';

const Time = Type.String({ format: 'date-time' });
const Version = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const Note = Type.Optional(
  Type.String({ maxLength: 500, description: 'Why, for whoever reads the history.' }),
);
const IfVersion = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Refuse (409) when another version is in force by now: somebody else was faster.',
  }),
);
const Network = Type.String({ minLength: 1, maxLength: 60, examples: ['192.168.0.0/16', '2001:db8::7'] });

const Remarks = (description: string) =>
  Type.Array(
    Type.Object({
      path: Type.String({
        description: 'JSON pointer (RFC 6901); empty: the whole document.',
        examples: ['/rate_limit/rpm'],
      }),
      message: Type.String(),
    }),
    { description },
  );
const Warnings = Remarks('What is allowed, and was probably not meant.');
const Changed = Type.Array(Type.String(), {
  description: 'JSON pointers to what differs from the version before.',
});

const facts = {
  version: Version,
  updated_at: Time,
  updated_by: Type.String({ description: 'The id of who stored it.', examples: ['owner'] }),
  note: nullable(Type.String()),
};

/** Without its $id, which an OpenAPI document may hold once. */
const DocumentInForce = Type.Object(PolicyDocument.properties, {
  description: 'What is left out has its default.',
});

export const PolicyView = Type.Object(
  { id: Type.Literal('default'), ...facts, document: DocumentInForce, warnings: Warnings },
  { description: 'The policy in force.' },
);
export type PolicyView = Static<typeof PolicyView>;

export const PolicyChange = Type.Object(
  { ...PolicyView.properties, changed: Changed },
  { description: 'The policy in force, after a change. The same version as before when nothing differs.' },
);
export type PolicyChange = Static<typeof PolicyChange>;

/** As in a policy: open, so that what a newer FLM knows is kept. */
const AnyDocument = Type.Object(
  {},
  { additionalProperties: true, description: 'A policy, as GET /api/v1/policy/schema describes it.' },
);

export const PolicyInput = Type.Object(
  { document: AnyDocument, if_version: IfVersion, note: Note },
  { additionalProperties: false },
);
export type PolicyInput = Static<typeof PolicyInput>;

export const PolicyDraft = Type.Object({ document: AnyDocument }, { additionalProperties: false });

export const PolicyReview = Type.Object(
  { valid: Type.Boolean(), problems: Remarks('Everything that is wrong.'), warnings: Warnings },
  { description: 'What FLM thinks of a policy.' },
);
export type PolicyReview = Static<typeof PolicyReview>;

export const PolicyVersion = Type.Object(
  {
    ...facts,
    state: oneOf(['in-force', 'past', 'altered'], {
      description: 'altered: it is not as it was written, and cannot be put back.',
    }),
    changed: Changed,
  },
  { description: 'A version of the policy.' },
);
export type PolicyVersion = Static<typeof PolicyVersion>;

export const PolicyHistory = Type.Object(
  {
    items: Type.Array(PolicyVersion),
    next: nullable(Type.String(), { description: 'The cursor of older versions; null after the first.' }),
  },
  { description: 'Versions of the policy, the newest first.' },
);
export type PolicyHistory = Static<typeof PolicyHistory>;

export const HistoryQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, description: 'Default: 20.' })),
  cursor: Type.Optional(Type.String({ maxLength: 20 })),
});
export type HistoryQuery = Static<typeof HistoryQuery>;

export const PastPolicy = Type.Object(
  {
    ...PolicyVersion.properties,
    document: Type.Unknown({ description: 'As it was stored; null when it is no JSON any more.' }),
  },
  { description: 'A version of the policy with its document.' },
);
export type PastPolicy = Static<typeof PastPolicy>;

export const RollbackInput = Type.Object(
  { version: Version, if_version: IfVersion, note: Note },
  { additionalProperties: false },
);
export type RollbackInput = Static<typeof RollbackInput>;

export const PolicySchema = Type.Object(
  {},
  { additionalProperties: true, description: 'The JSON Schema (2020-12) of the policy.' },
);

export const Whitelist = Type.Object(
  { items: Type.Array(Type.String()), next: Type.Null(), version: Version, warnings: Warnings },
  { description: 'Who may come at all, as in ip_whitelist of the policy. Empty: everybody.' },
);
export type Whitelist = Static<typeof Whitelist>;

export const NetworkInput = Type.Object(
  {
    network: Network,
    note: Note,
    force: Type.Optional(
      Type.Boolean({ description: 'Also when that shuts out everybody who used FLM lately.' }),
    ),
  },
  { additionalProperties: false },
);
export type NetworkInput = Static<typeof NetworkInput>;

/** What the CLI needs of the policy, whether FLM runs or not. */
export interface PolicyApi {
  /** @throws POLICY_UNREADABLE */
  show(): Promise<PolicyView>;
  /** Replaces the policy. @throws POLICY_INVALID, POLICY_CONFLICT; what was in force stays */
  set(input: PolicyInput): Promise<PolicyChange>;
  validate(document: PolicyInput['document']): Promise<PolicyReview>;
  /** @throws INVALID_INPUT for a cursor that is none */
  history(query: HistoryQuery): Promise<PolicyHistory>;
  /** @throws POLICY_VERSION_NOT_FOUND */
  version(version: number): Promise<PastPolicy>;
  /** Stores an earlier version anew. @throws POLICY_VERSION_NOT_FOUND, POLICY_VERSION_ALTERED, POLICY_INVALID, POLICY_CONFLICT */
  rollback(input: RollbackInput): Promise<PolicyChange>;
  /** @throws POLICY_UNREADABLE */
  whitelist(): Promise<Whitelist>;
  /** Adds a network to ip_whitelist. @throws POLICY_UNREADABLE, POLICY_INVALID, POLICY_LOCKS_OUT */
  allow(input: NetworkInput): Promise<Whitelist>;
  /** Takes one away. @throws POLICY_UNREADABLE, POLICY_INVALID, POLICY_LOCKS_OUT, NETWORK_NOT_LISTED */
  disallow(input: NetworkInput): Promise<Whitelist>;
}
