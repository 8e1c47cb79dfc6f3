/**
 * `bun crowd.ts <data directory> <keys> <bans>`: puts that many keys that nobody has, and bans of addresses that nobody
 * has (half of them networks), into a data directory that is not in use.
 */
import { randomBytes } from 'node:crypto';
import { openDatabases, securitySchema } from '../../db';
import { systemClock } from '../../src/lib/clock';
import { randomBase62 } from '../../src/lib/ids';
import { pathsIn } from '../../src/lib/paths';

const [dir = '', keys = 0, bans = 0] = process.argv
  .slice(2)
  .map((word, index) => (index === 0 ? word : +word));
const clock = systemClock;
const db = await openDatabases({ paths: pathsIn(String(dir)), env: process.env, clock, lockWaitMs: 0 });
const nowMs = clock.nowMs();
db.security.transaction((tx) => {
  for (let n = 0; n < Number(keys); n++) {
    const key = {
      id: randomBase62(8),
      label: `crowd ${n}`,
      hash: randomBytes(32),
      scopesJson: '["inference"]',
      createdAtMs: nowMs + n,
    };
    tx.insert(securitySchema.apiKeys).values(key).run();
  }
  for (let n = 0; n < Number(bans); n++) {
    // 100.64.0.0/10 and 2001:db8::/32 are nobody's.
    const network =
      n % 2 === 0 ? `100.${64 + (n >> 13)}.${(n >> 5) & 255}.${n & 31}` : `2001:db8:${n.toString(16)}::/64`;
    const ban = { network, isAutomatic: false, reason: 'bench', bannedAtMs: nowMs, bannedBy: 'bench' };
    tx.insert(securitySchema.ipBans).values(ban).onConflictDoNothing().run();
  }
});
db.close();
