/** Proxies that run and how they were started: proxy_profiles and active_proxy_handles of config.db (FLM-067). */
import { eq } from 'drizzle-orm';
import { type ConfigDb, configSchema } from '../../db';
import type { ProxyHandle, ProxyProfile } from './model';

export interface ProxyStore {
  /** Records a start: its handle, and its profile as the latest of that id. */
  started(handle: ProxyHandle, profile: ProxyProfile): Promise<void>;
  /** Removes the handle; the profile stays. */
  stopped(id: string): Promise<void>;
  /** Removes handles that a crash left behind. Only the process that holds the data directory may call it. */
  clear(): Promise<void>;
}

export function createProxyStore(db: ConfigDb): ProxyStore {
  const { activeProxyHandles, proxyProfiles } = configSchema;
  return {
    async started(handle, profile) {
      const { id, startedAtMs: createdAtMs } = handle;
      const profileRow = { id, configJson: JSON.stringify(profile), createdAtMs };
      const handleRow = { id, handleJson: JSON.stringify(handle), createdAtMs };
      db.transaction((tx) => {
        tx.insert(proxyProfiles)
          .values(profileRow)
          .onConflictDoUpdate({ target: proxyProfiles.id, set: profileRow })
          .run();
        tx.insert(activeProxyHandles)
          .values(handleRow)
          .onConflictDoUpdate({ target: activeProxyHandles.id, set: handleRow })
          .run();
      });
    },
    async stopped(id) {
      db.delete(activeProxyHandles).where(eq(activeProxyHandles.id, id)).run();
    },
    async clear() {
      db.delete(activeProxyHandles).run();
    },
  };
}
