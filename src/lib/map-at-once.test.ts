/** Mapping with a limit: order kept, limit held, the first failure told. */
import { expect, test } from 'bun:test';
import { mapAtOnce } from './map-at-once';

test('keeps the order and never runs more at once than it may', async () => {
  let running = 0;
  let most = 0;
  const doubled = await mapAtOnce([5, 1, 4, 2, 3], 2, async (value) => {
    most = Math.max(most, ++running);
    await Bun.sleep(value);
    running--;
    return value * 2;
  });
  expect([doubled, most]).toEqual([[10, 2, 8, 4, 6], 2]);
  expect(await mapAtOnce([], 3, async (value) => value)).toEqual([]);
});

test('rejects with the first failure', async () => {
  const failing = mapAtOnce([1, 2, 3], 1, async (value) => {
    if (value === 2) throw new Error('two');
    return value;
  });
  expect(failing).rejects.toThrow('two');
});
