/** Shapes of the audit API, and what the CLI needs of it. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';
import { PROBLEMS } from './verify';

export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;

const Time = Type.String({ format: 'date-time' });
const Digest = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256, in hexadecimal digits.' });
const Seq = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const Writer = Type.String({
  minLength: 1,
  maxLength: 100,
  description: 'The installation that wrote the chain.',
});

/** As it is in the file, where somebody else may have written anything. */
const AnyWriter = Type.String({ description: 'The installation that wrote the chain.' });

export const AuditEntry = Type.Object(
  {
    seq: Type.Integer({ description: '1, 2, 3, … without a gap.' }),
    writer: AnyWriter,
    id: Type.String(),
    at: Time,
    type: Type.String({ examples: ['key.created'] }),
    severity: oneOf(SEVERITIES),
    actor: Type.Object({
      kind: Type.String({ examples: ['owner', 'system'] }),
      id: Type.String(),
      via: Type.String({ examples: ['socket', 'tcp', 'offline', 'inside'] }),
    }),
    target: nullable(Type.String(), { examples: ['key:Ab12Cd34'] }),
    ip: nullable(Type.String(), {
      description: 'Where the request came from; null also once it was erased.',
    }),
    request_id: nullable(Type.String()),
    trace_id: nullable(Type.String()),
    details: nullable(Type.Record(Type.String(), Type.Unknown())),
    previous_hash: Digest,
    hash: Digest,
  },
  { description: 'A row of the audit chain.' },
);
export type AuditEntry = Static<typeof AuditEntry>;

export const AuditList = Type.Object(
  {
    items: Type.Array(AuditEntry),
    next: nullable(Type.String(), {
      description: 'The cursor of the rows after these; null after the last.',
    }),
  },
  { description: 'Rows of the audit chain, newest first.' },
);
export type AuditList = Static<typeof AuditList>;

/** Which rows; what is not given matches all. */
export const AuditFilter = Type.Object({
  type: Type.Optional(
    Type.String({
      pattern: '^[a-z]+(\\.[a-z_]+)?$',
      maxLength: 60,
      description: 'A type (`key.created`), or all that begin like it (`key`).',
    }),
  ),
  severity: Type.Optional(oneOf(SEVERITIES)),
  actor: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'The id of who did it.' })),
  target: Type.Optional(Type.String({ minLength: 1, maxLength: 400 })),
  ip: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  since: Type.Optional(Type.String({ maxLength: 40, description: 'Rows from this time on (ISO 8601).' })),
  until: Type.Optional(Type.String({ maxLength: 40, description: 'Rows before this time (ISO 8601).' })),
});
export type AuditFilter = Static<typeof AuditFilter>;

const Limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: 'Default: 100.' }));

export const AuditQuery = Type.Object({
  ...AuditFilter.properties,
  limit: Limit,
  cursor: Type.Optional(Type.String({ maxLength: 200 })),
});
export type AuditQuery = Static<typeof AuditQuery>;

/** `limit`: how many rows of before are told first. */
export const WatchQuery = Type.Object({ ...AuditFilter.properties, limit: Limit });
export type WatchQuery = Static<typeof WatchQuery>;

export const EXPORT_FORMATS = ['json', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export const AuditCheckpoint = Type.Object(
  { writer: Writer, seq: Seq, hash: Digest, at: Time },
  {
    description:
      'How far the chain is. Kept elsewhere, it tells later whether anything before it was changed.',
  },
);
export type AuditCheckpoint = Static<typeof AuditCheckpoint>;

/** A checkpoint that comes back from where it was kept. */
export const StoredCheckpoint = Type.Object({ writer: Writer, seq: Seq, hash: Digest });

/** What of a checkpoint is compared. */
export const CheckpointQuery = Type.Object({
  writer: Type.Optional(Writer),
  seq: Type.Optional(Seq),
  hash: Type.Optional(Digest),
});
export type CheckpointQuery = Static<typeof CheckpointQuery>;

export const AuditReport = Type.Object(
  {
    ok: Type.Boolean(),
    rows: Type.Integer({ description: 'Rows that are as they were written.' }),
    findings: Type.Array(
      Type.Object({
        writer: AnyWriter,
        seq: nullable(Type.Integer(), { description: 'The first row that is wrong; null: the whole chain.' }),
        problem: oneOf(PROBLEMS),
        message: Type.String(),
      }),
      { description: 'The first thing that is wrong with each chain.' },
    ),
    chains: Type.Array(Type.Object({ writer: AnyWriter, rows: Type.Integer() })),
    erased: Type.Integer({ description: 'Rows whose personal data were erased.' }),
    checkpoint: nullable(Type.Object({ seq: Type.Integer(), matches: Type.Boolean() }), {
      description: 'How the rows compare with the checkpoint that was given; null without one.',
    }),
    unprotected: Type.Object(
      {
        rows: Type.Integer(),
        since: nullable(Time, { description: 'When the first of them was written.' }),
        last_checkpoint: nullable(Type.Object({ seq: Type.Integer(), at: nullable(Time) })),
      },
      {
        description:
          'Rows behind the checkpoint that was given, else behind the last one on record: whoever holds the keys of this installation could write them anew without a trace.',
      },
    ),
    duration_ms: Type.Integer(),
  },
  { description: 'What an examination of the audit chain found.' },
);
export type AuditReport = Static<typeof AuditReport>;

export const EraseInput = Type.Object(
  { ip: Type.String({ minLength: 1, maxLength: 100, description: 'The address to erase.' }) },
  { additionalProperties: false },
);
export type EraseInput = Static<typeof EraseInput>;

export const Erased = Type.Object(
  { rows: Type.Integer({ description: 'Rows that held the address.' }) },
  { description: 'Personal data were erased. The chain stays valid.' },
);
export type Erased = Static<typeof Erased>;

/** What the CLI needs of the audit chain, whether FLM runs or not. */
export interface AuditApi {
  /** @throws INVALID_INPUT for a cursor that is none, or an address that is none */
  list(query: AuditQuery): Promise<AuditList>;
  /** All rows that match, the oldest first, in pieces of text. */
  export(filter: AuditFilter, format: ExportFormat): Promise<AsyncIterable<string>>;
  verify(checkpoint: CheckpointQuery): Promise<AuditReport>;
  checkpoint(): Promise<AuditCheckpoint>;
  /** Takes an address out of every row, and puts on record that it did. @throws INVALID_INPUT */
  erase(input: EraseInput): Promise<Erased>;
}
