import { expect, test } from 'bun:test';
import { endOfTurn } from './turn';

test('all who ask in one turn wait for the same end, and the next turn has its own', async () => {
  const first = endOfTurn();
  await Promise.resolve();
  expect(endOfTurn()).toBe(first);
  await first;
  expect(endOfTurn()).not.toBe(first);
});

test('ends after what was queued before it', async () => {
  const order: string[] = [];
  const end = endOfTurn().then(() => order.push('end'));
  queueMicrotask(() => queueMicrotask(() => order.push('work')));
  await end;
  expect(order).toEqual(['work', 'end']);
});
