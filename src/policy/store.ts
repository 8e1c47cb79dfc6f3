/** The policy_versions table of security.db. Rows are added; nothing here changes or removes one. */
import { asc, desc, lt } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../db';
import type { AuditEvent, AuditWriter } from '../contract';
import type { StoredVersion } from './seal';

export interface PolicyStore {
  /** Another number than before when another process has written to security.db since. Takes microseconds. */
  changeMark(): number;
  /** The newest version and the seal of the one before it; null when there is none. */
  head(): Promise<Head | null>;
  /** All of them, the oldest first. */
  all(): Promise<readonly StoredVersion[]>;
  /** Up to `limit` versions below `before`, the newest first. */
  page(before: number | null, limit: number): Promise<readonly StoredVersion[]>;
  /**
   * Adds what `make` makes of the newest version, and puts the event on record: both or neither. What `make` throws
   * undoes it. Without an event nobody has changed anything.
   */
  add(make: (head: Head | null) => Addition): Promise<void>;
}

export interface Addition {
  readonly row: StoredVersion;
  readonly event: AuditEvent | null;
}

export interface Head {
  readonly row: StoredVersion;
  readonly sealBefore: Buffer | null;
}

export function createPolicyStore(db: SecurityDb, audit: AuditWriter): PolicyStore {
  const { policyVersions: versions } = securitySchema;

  function readHead(): Head | null {
    const [row, before] = db.select().from(versions).orderBy(desc(versions.version)).limit(2).all();
    if (row === undefined) return null;
    return { row, sealBefore: before?.seal ?? null };
  }

  return {
    changeMark: () => Number(db.$client.pragma('data_version', { simple: true })),
    head: async () => readHead(),
    all: async () => db.select().from(versions).orderBy(asc(versions.version)).all(),
    page: async (before, limit) =>
      db
        .select()
        .from(versions)
        .where(before === null ? undefined : lt(versions.version, before))
        .orderBy(desc(versions.version))
        .limit(limit)
        .all(),

    async add(make) {
      db.transaction(
        (tx) => {
          const { row, event } = make(readHead());
          tx.insert(versions).values(row).run();
          if (event !== null) audit.write(event);
        },
        { behavior: 'immediate' },
      );
    },
  };
}
