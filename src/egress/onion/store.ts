/** Keys of onion services and the password of tor's control port (security.db, encrypted). */
import { eq } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../../db';
import type { AuditEvent, AuditWriter } from '../../contract';

/** Each change is put on record with it; keys and passwords are not. */
export interface OnionStore {
  /** The key of a proxy's service, or null. */
  key(proxyId: string): Promise<string | null>;
  putKey(proxyId: string, key: string, address: string, nowMs: number): Promise<void>;
  removeKey(proxyId: string): Promise<void>;
  password(): Promise<string | null>;
  putPassword(password: string, nowMs: number): Promise<void>;
  removePassword(): Promise<void>;
}

const PASSWORD = 'tor-control';

export function createOnionStore(security: SecurityDb, audit: AuditWriter): OnionStore {
  const { egressSecrets } = securitySchema;
  const nameOf = (proxyId: string) => `onion:${proxyId}`;

  function get(name: string): string | null {
    const row = security.select().from(egressSecrets).where(eq(egressSecrets.name, name)).get();
    const json: unknown = row === undefined ? null : JSON.parse(row.secretJson);
    return typeof json === 'string' ? json : null;
  }

  function put(name: string, secret: string, nowMs: number, event: AuditEvent): void {
    const row = { name, secretJson: JSON.stringify(secret), updatedAtMs: nowMs };
    security.transaction((tx) => {
      tx.insert(egressSecrets).values(row).onConflictDoUpdate({ target: egressSecrets.name, set: row }).run();
      audit.write(event);
    });
  }

  function remove(name: string, event: AuditEvent): void {
    security.transaction((tx) => {
      if (tx.delete(egressSecrets).where(eq(egressSecrets.name, name)).run().changes > 0) audit.write(event);
    });
  }

  const about = (type: AuditEvent['type'], target: string, details: AuditEvent['details']): AuditEvent => ({
    type,
    severity: 'medium',
    target,
    details,
  });

  return {
    key: async (proxyId) => get(nameOf(proxyId)),
    async putKey(proxyId, key, address, nowMs) {
      put(nameOf(proxyId), key, nowMs, about('onion.created', `proxy:${proxyId}`, { address }));
    },
    async removeKey(proxyId) {
      remove(nameOf(proxyId), about('onion.removed', `proxy:${proxyId}`, null));
    },
    password: async () => get(PASSWORD),
    async putPassword(password, nowMs) {
      put(PASSWORD, password, nowMs, about('egress.login_set', 'proxy.egress', { for: 'tor-control' }));
    },
    async removePassword() {
      remove(PASSWORD, about('egress.login_removed', 'proxy.egress', { for: 'tor-control' }));
    },
  };
}
