/**
 * The book of days: how far each was written when it was last looked at, and which were removed or archived on purpose. A
 * file of its own beside them, sealed with the same key, so that a day that is missing can be told from one that is gone.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { writeFileAtomic } from '../lib/files';
import { isRecord, parseJson } from '../lib/json';
import { oneOf } from '../lib/schema';

const LedgerDay = Type.Object({
  day: Type.String(),
  state: oneOf(['here', 'archived', 'removed']),
  firstBlock: Type.Integer(),
  lastBlock: Type.Integer(),
  lastRow: Type.Integer(),
  /** Of the last block, hex. */
  digest: Type.String(),
});
export type LedgerDay = Static<typeof LedgerDay>;

const LedgerDays = Type.Array(LedgerDay);

export interface Ledger {
  /** Oldest first. @throws Error when the file is not what this FLM wrote */
  read(): readonly LedgerDay[];
  /** @throws IO_ERROR */
  write(days: readonly LedgerDay[]): void;
  /** Puts a file that cannot be believed out of the way. */
  setAside(): void;
}

export function createLedger(path: string, keyBytes: Uint8Array): Ledger {
  const key = createHmac('sha256', keyBytes).update('flm activity ledger 1').digest();
  const sealOf = (days: unknown) => createHmac('sha256', key).update(JSON.stringify(days)).digest();
  return {
    read() {
      if (!existsSync(path)) return [];
      const json = parseJson(readFileSync(path, 'utf8'));
      const { days, seal } = isRecord(json) ? json : {};
      const given = Buffer.from(typeof seal === 'string' ? seal : '', 'hex');
      const due = sealOf(days);
      if (given.length !== due.length || !timingSafeEqual(given, due) || !Value.Check(LedgerDays, days))
        throw new Error('somebody else wrote it, or it is damaged');
      return days;
    },
    write(days) {
      const sorted = [...days].sort((a, b) => (a.day < b.day ? -1 : 1));
      const seal = sealOf(sorted).toString('hex');
      writeFileAtomic(path, `${JSON.stringify({ version: 1, days: sorted, seal })}\n`);
    },
    setAside: () => renameSync(path, `${path}.refused`),
  };
}
