/** Proxies that run and how they were started: proxy_profiles and active_proxy_handles of config.db (FLM-067). */
import { asc, eq } from 'drizzle-orm';
import { type ConfigDb, configSchema } from '../../db';
import type { AuditWriter } from '../contract';
import { isRecord, parseJson } from '../lib/json';
import { type ClientCertificates, modeNamed, type ProxyHandle, type ProxyProfile } from './model';

export interface ProxyStore {
  /** Records a start: its handle, and its profile as the latest of that id; `isWanted`: to be started again with FLM. */
  started(handle: ProxyHandle, profile: ProxyProfile, isWanted: boolean): Promise<void>;
  /** Removes the handle of a proxy that ends because FLM does; the profile stays. */
  ended(id: string): Promise<void>;
  /** The owner stopped it: removes the handle, and it is no longer wanted. */
  stopped(id: string): Promise<void>;
  /** It runs differently from now on. */
  changed(id: string, profile: ProxyProfile): Promise<void>;
  /** The owner had the settings read again. */
  reloaded(id: string, changed: readonly string[]): Promise<void>;
  /** Profiles of proxies that are to be started with FLM, oldest first. */
  wanted(): Promise<ProxyProfile[]>;
  /**
   * Removes handles that a crash left behind, and says how many there were. Only the process that holds the data directory
   * may call it.
   */
  clear(): Promise<number>;
}

export function createProxyStore(db: ConfigDb, audit: AuditWriter): ProxyStore {
  const { activeProxyHandles, proxyProfiles } = configSchema;
  return {
    async started(handle, profile, isWanted) {
      const { id, startedAtMs: createdAtMs } = handle;
      const profileRow = { id, configJson: JSON.stringify(profile), createdAtMs, isWanted };
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
        audit.write({
          type: 'proxy.started',
          severity: 'low',
          target: `proxy:${id}`,
          details: { ...profile },
        });
      });
    },
    async ended(id) {
      db.delete(activeProxyHandles).where(eq(activeProxyHandles.id, id)).run();
    },
    async stopped(id) {
      db.transaction((tx) => {
        tx.delete(activeProxyHandles).where(eq(activeProxyHandles.id, id)).run();
        tx.update(proxyProfiles).set({ isWanted: false }).where(eq(proxyProfiles.id, id)).run();
        audit.write({ type: 'proxy.stopped', severity: 'low', target: `proxy:${id}`, details: null });
      });
    },
    async changed(id, profile) {
      const configJson = JSON.stringify(profile);
      db.update(proxyProfiles).set({ configJson }).where(eq(proxyProfiles.id, id)).run();
    },
    async reloaded(id, changed) {
      db.transaction(() => {
        audit.write({ type: 'proxy.reloaded', severity: 'low', target: `proxy:${id}`, details: { changed } });
      });
    },
    async wanted() {
      const rows = db
        .select()
        .from(proxyProfiles)
        .where(eq(proxyProfiles.isWanted, true))
        .orderBy(asc(proxyProfiles.createdAtMs), asc(proxyProfiles.id))
        .all();
      return rows.flatMap((row) => profileIn(row.configJson));
    },
    async clear() {
      return db.delete(activeProxyHandles).run().changes;
    },
  };
}

/** None where the row was written by a version that knew other ways to run a proxy. */
function profileIn(text: string): ProxyProfile[] {
  const json = parseJson(text);
  if (!isRecord(json)) return [];
  const { bind, port, trustedProxies, allowPlaintext, allowNoKey, httpsPort, onion, proxyProtocol } = json;
  const mode = typeof json.mode === 'string' ? modeNamed(json.mode) : null;
  if (mode === null) return [];
  if (typeof bind !== 'string' || typeof port !== 'number') return [];
  const trusted = Array.isArray(trustedProxies)
    ? trustedProxies.filter((entry) => typeof entry === 'string')
    : [];
  const clientCertificates = clientCertificatesIn(json.clientCertificates);
  // Whom it kept out, it would let in.
  if (clientCertificates === null) return [];
  const clients = isRecord(onion) && Array.isArray(onion.clients) ? onion.clients : null;
  return [
    {
      mode,
      bind,
      port,
      trustedProxies: trusted,
      allowPlaintext: allowPlaintext === true,
      ...(allowNoKey === true ? { allowNoKey } : {}),
      ...(typeof httpsPort === 'number' ? { httpsPort } : {}),
      ...(clients === null ? {} : { onion: { clients: clients.filter((key) => typeof key === 'string') } }),
      ...(clientCertificates === 'none' ? {} : { clientCertificates }),
      ...(proxyProtocol === true ? { proxyProtocol } : {}),
    },
  ];
}

/** Null for what cannot be read. */
function clientCertificatesIn(json: unknown): ClientCertificates | 'none' | null {
  if (json === undefined || json === null) return 'none';
  if (!isRecord(json)) return null;
  const { demand, caFile, crlFile } = json;
  if (demand !== 'optional' && demand !== 'required') return null;
  if (typeof caFile !== 'string' || !(crlFile === null || typeof crlFile === 'string')) return null;
  return { demand, caFile, crlFile };
}
