/** Who is acting: follows the work, and no other work. */
import { expect, test } from 'bun:test';
import { type Actor, actingAs, currentActor } from './actor';

const owner = (requestId: string): Actor => ({
  kind: 'owner',
  id: 'owner',
  via: 'socket',
  requestId,
  traceId: null,
  ip: null,
});

test('nobody asked: FLM itself', () => {
  expect(currentActor()).toMatchObject({ kind: 'system', via: 'inside', requestId: null });
});

test('two at once do not mix', async () => {
  const seen = await Promise.all(
    ['a', 'b', 'c'].map((id) =>
      actingAs(owner(id), async () => {
        await Bun.sleep(1);
        return currentActor().requestId;
      }),
    ),
  );
  expect(seen).toEqual(['a', 'b', 'c']);
  expect(currentActor().kind).toBe('system');
});
