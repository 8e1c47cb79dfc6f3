/** The settings table of config.db. */
import { eq } from 'drizzle-orm';
import type { ConfigDb } from '../../db';
import { configSchema } from '../../db';
import type { AuditWriter } from '../contract';

/** Each change is put on record with it. */
export interface SettingsStore {
  /** Everything that was set, by key, unknown keys of other versions included. */
  load(): Promise<ReadonlyMap<string, string>>;
  put(key: string, value: string, nowMs: number): Promise<void>;
  remove(key: string): Promise<void>;
}

export function createSettingsStore(db: ConfigDb, audit: AuditWriter): SettingsStore {
  const { settings } = configSchema;
  /** What was set before, or null. */
  const setValue = (key: string): string | null =>
    db.select().from(settings).where(eq(settings.key, key)).get()?.value ?? null;
  return {
    async load() {
      const rows = db.select({ key: settings.key, value: settings.value }).from(settings).all();
      return new Map(rows.map((row) => [row.key, row.value]));
    },
    async put(key, value, nowMs) {
      db.transaction((tx) => {
        const details = { value, before: setValue(key) };
        tx.insert(settings)
          .values({ key, value, updatedAtMs: nowMs })
          .onConflictDoUpdate({ target: settings.key, set: { value, updatedAtMs: nowMs } })
          .run();
        audit.write({ type: 'config.set', severity: 'medium', target: `setting:${key}`, details });
      });
    },
    async remove(key) {
      db.transaction((tx) => {
        const before = setValue(key);
        if (before === null) return; // Nothing was set, so nothing changes.
        tx.delete(settings).where(eq(settings.key, key)).run();
        audit.write({
          type: 'config.unset',
          severity: 'medium',
          target: `setting:${key}`,
          details: { before },
        });
      });
    },
  };
}
