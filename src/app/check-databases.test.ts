/** The databases of an FLM that serves are examined beside its requests and not before them. */
import { expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { checkDatabases, type DatabaseFiles } from '../../db';
import { fill, type TestChain, testChain } from '../../test/support/audit-chain';
import { checkInWorker } from './check-databases';

const filesOf = ({ data, db }: TestChain): DatabaseFiles => ({
  configDb: data.paths.configDb,
  securityDb: data.paths.securityDb,
  seal: db.daySeal,
});

/** How often others had their turn meanwhile. */
async function turnsDuring(work: () => unknown): Promise<number> {
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  isOver = true;
  return turns;
}

test('a long chain is examined while others have their turns, and the same is found', async () => {
  await using chain = await testChain();
  fill(chain, 20_000);
  const here = checkDatabases(chain.db);
  expect(here.every(({ ok }) => ok)).toBe(true);
  expect(await checkInWorker(filesOf(chain))).toEqual(here);
  expect(await turnsDuring(() => checkDatabases(chain.db))).toBe(0);
  expect(await turnsDuring(() => checkInWorker(filesOf(chain)))).toBeGreaterThan(20);
});

test('a file that cannot be opened is a finding', async () => {
  await using chain = await testChain();
  const damaged = `${chain.data.dir}/damaged.db`;
  writeFileSync(damaged, 'no database at all');
  const findings = await checkInWorker({ ...filesOf(chain), configDb: damaged });
  expect(findings).toEqual([{ name: 'databases', ok: false, message: expect.stringContaining('damaged') }]);
});
