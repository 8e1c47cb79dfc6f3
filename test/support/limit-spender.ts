/** A process that takes what a limit gives as fast as it can, and writes a byte for each: to be killed by a test. */
import { openSync, writeSync } from 'node:fs';
import { openDatabases } from '../../db';
import { createLimitRows } from '../../src/admission';
import { createMemoryStore } from '../../src/admission/limits/memory';
import { systemClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import { dataDir, pathsIn } from '../../src/lib/paths';
import { limit } from './limit-model';

const [ledger = '', perMinute = ''] = process.argv.slice(2);
const env = { ...process.env };
const db = await openDatabases({ paths: pathsIn(dataDir(env)), env, clock: systemClock, lockWaitMs: 5_000 });
const store = createMemoryStore({ clock: systemClock, rows: createLimitRows(db.security), log: silentLog });
setInterval(() => store.flush(), 1_000);
const file = openSync(ledger, 'a');
const demand = { subject: 'k', unit: 'requests', limit: limit(Number(perMinute)), cost: 1 } as const;
for (;;) {
  // The byte is written first: whoever is killed in between has written one too many, never one too few.
  if (store.take([{ ...demand, cost: 0 }]).standings[0]?.remaining !== 0) {
    writeSync(file, '.');
    store.take([demand]);
  }
  await Bun.sleep(1);
}
