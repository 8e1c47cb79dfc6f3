/**
 * What binds the rows of the audit chain to each other: the digest of a row covers all that it says and the digest of
 * the row before it. Personal data are covered through a salted commitment, so that they can be erased and the chain
 * still holds. A plain digest and no HMAC: its key would lie beside the rows, and whoever has the one has the other.
 */
import { randomBytes } from 'node:crypto';

/** What is put on record, before it has its place. */
export interface AuditDraft {
  /** UUIDv7. */
  readonly id: string;
  readonly atMs: number;
  readonly type: string;
  readonly severity: string;
  readonly actorKind: string;
  readonly actorId: string;
  readonly via: string;
  readonly target: string | null;
  readonly requestId: string | null;
  readonly traceId: string | null;
  readonly detailsJson: string | null;
  /** What names a person, as JSON; null without any, or once it was erased. */
  readonly personalJson: string | null;
}

/** How far a chain has come. */
export interface Head {
  readonly writer: string;
  /** 0 while it has no row. */
  readonly seq: number;
  readonly hash: Buffer;
}

/** A row in its place. */
export interface AuditRow extends AuditDraft {
  readonly seq: number;
  readonly writer: string;
  readonly personalSalt: Buffer | null;
  readonly personalCommitment: Buffer | null;
  readonly previousHash: Buffer;
  readonly hash: Buffer;
}

/** What stands before the first row. */
export const GENESIS: Buffer = Buffer.alloc(32);

const DOMAIN = 'flm audit row 1';
const SALT_BYTES = 16;

/** The row that follows `head`. */
export function chained(draft: AuditDraft, { writer, seq, hash }: Head): AuditRow {
  const personalSalt = draft.personalJson === null ? null : randomBytes(SALT_BYTES);
  const row = {
    ...draft,
    writer,
    seq: seq + 1,
    personalSalt,
    personalCommitment:
      draft.personalJson === null || personalSalt === null
        ? null
        : commitmentOf(draft.personalJson, personalSalt),
    previousHash: hash,
  };
  return { ...row, hash: hashOf(row) };
}

/** SHA-256 over every field in a fixed order, each with its length before it: no two rows read the same. */
export function hashOf(row: Omit<AuditRow, 'hash' | 'personalJson' | 'personalSalt'>): Buffer {
  return digestOf([
    DOMAIN,
    row.writer,
    String(row.seq),
    row.id,
    String(row.atMs),
    row.type,
    row.severity,
    row.actorKind,
    row.actorId,
    row.via,
    row.target,
    row.requestId,
    row.traceId,
    row.detailsJson,
    row.personalCommitment,
    row.previousHash,
  ]);
}

/** What the chain holds in place of personal data. Without the salt nobody can guess them from it. */
export function commitmentOf(personalJson: string, salt: Buffer): Buffer {
  return digestOf(['flm audit personal 1', salt, personalJson]);
}

/** Whether the personal data of a row are the ones it was written with; erased ones are, with nothing left of them. */
export function keepsCommitment({ personalJson, personalSalt, personalCommitment }: AuditRow): boolean {
  if (personalJson === null) return personalSalt === null;
  if (personalSalt === null || personalCommitment === null) return false;
  return commitmentOf(personalJson, personalSalt).equals(personalCommitment);
}

/** Fields as a type byte (0 for null), four bytes of length, and their bytes; digested in one go. */
function digestOf(fields: readonly (string | Buffer | null)[]): Buffer {
  const frames: Buffer[] = [];
  for (const field of fields) {
    const bytes = field === null ? NOTHING : typeof field === 'string' ? Buffer.from(field) : field;
    const frame = Buffer.alloc(5);
    frame.writeUInt8(field === null ? 0 : 1, 0);
    frame.writeUInt32BE(bytes.length, 1);
    frames.push(frame, bytes);
  }
  return new Bun.CryptoHasher('sha256').update(Buffer.concat(frames)).digest();
}

const NOTHING = Buffer.alloc(0);
