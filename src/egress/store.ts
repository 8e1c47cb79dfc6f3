/** What the SOCKS server is told when it asks who is there (security.db, encrypted). */
import { eq } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../../db';
import type { AuditWriter } from '../contract';
import { isRecord, parseJson } from '../lib/json';
import type { SocksLogin } from './tunnel/server';

/** Each change is put on record with it; the password is not. */
export interface LoginStore {
  load(): Promise<SocksLogin | null>;
  put(login: SocksLogin, nowMs: number): Promise<void>;
  remove(): Promise<void>;
}

const NAME = 'socks5';
const TARGET = 'proxy.egress';

export function createLoginStore(security: SecurityDb, audit: AuditWriter): LoginStore {
  const { egressSecrets } = securitySchema;
  return {
    async load() {
      const row = security.select().from(egressSecrets).where(eq(egressSecrets.name, NAME)).get();
      const json = row === undefined ? null : parseJson(row.secretJson);
      if (!isRecord(json) || typeof json.user !== 'string' || typeof json.password !== 'string') return null;
      return { user: json.user, password: json.password };
    },

    async put({ user, password }, nowMs) {
      const row = { name: NAME, secretJson: JSON.stringify({ user, password }), updatedAtMs: nowMs };
      security.transaction((tx) => {
        tx.insert(egressSecrets)
          .values(row)
          .onConflictDoUpdate({ target: egressSecrets.name, set: row })
          .run();
        audit.write({ type: 'egress.login_set', severity: 'medium', target: TARGET, details: { user } });
      });
    },

    async remove() {
      security.transaction((tx) => {
        if (tx.delete(egressSecrets).where(eq(egressSecrets.name, NAME)).run().changes === 0) return;
        audit.write({ type: 'egress.login_removed', severity: 'medium', target: TARGET, details: null });
      });
    },
  };
}
