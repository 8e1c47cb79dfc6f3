/** The settings table of config.db. */
import { eq } from 'drizzle-orm';
import type { ConfigDb } from '../../db';
import { configSchema } from '../../db';

export interface SettingsStore {
  /** Everything that was set, by key, unknown keys of other versions included. */
  load(): Promise<ReadonlyMap<string, string>>;
  put(key: string, value: string, nowMs: number): Promise<void>;
  remove(key: string): Promise<void>;
}

export function createSettingsStore(db: ConfigDb): SettingsStore {
  const { settings } = configSchema;
  return {
    async load() {
      const rows = db.select({ key: settings.key, value: settings.value }).from(settings).all();
      return new Map(rows.map((row) => [row.key, row.value]));
    },
    async put(key, value, nowMs) {
      db.insert(settings)
        .values({ key, value, updatedAtMs: nowMs })
        .onConflictDoUpdate({ target: settings.key, set: { value, updatedAtMs: nowMs } })
        .run();
    },
    async remove(key) {
      db.delete(settings).where(eq(settings.key, key)).run();
    },
  };
}
