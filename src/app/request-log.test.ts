/** What the request log finds on record in the audit chain. */
import { expect, test } from 'bun:test';
import { testChain } from '../../test/support/audit-chain';
import { recordOn } from './request-log';

test('tells the anchors and removals that are on record, however many there are', async () => {
  await using chain = await testChain();
  const record = recordOn(chain.audit);
  await record.anchor({ day: '2026-05-10', block: 7, digest: 'ab', rows: 70 });
  const details = { day: '2026-05-10', reason: 'old', first_block: 3, last_block: 7, digest: 'ab' };
  const common = { severity: 'low', target: null } as const;
  for (let n = 0; n < 1_200; n++) await record.record({ ...common, type: 'activity.removed', details });
  const older = { day: '2026-05-11', reason: 'old' };
  await record.record({ ...common, type: 'activity.archived', details: older });
  await record.record({ ...common, type: 'activity.erased', details: { days: 1, places: 1 } });
  expect(await record.anchors()).toEqual([{ day: '2026-05-10', block: 7, digest: 'ab', rows: 70 }]);
  const removals = await record.removals();
  expect(removals).toHaveLength(1_201);
  expect(removals[0]).toEqual({ day: '2026-05-10', firstBlock: 3, block: 7, digest: 'ab' });
  expect(removals.at(-1)).toEqual({ day: '2026-05-11', firstBlock: null, block: null, digest: null });
});
