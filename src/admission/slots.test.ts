/** The queue in front of an engine: bounded, first come first served, and every slot comes back. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { CancelSource } from '../lib/cancel';
import { type ManualClock, manualClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { createSlots, type Slots } from './slots';

let clock: ManualClock;
let slots: Slots;
let capacity: number;
let limit: number;

beforeEach(() => {
  clock = manualClock();
  [capacity, limit] = [2, 3];
  slots = createSlots({ clock, capacityOf: () => capacity, queueLimit: () => limit });
});

const never = new CancelSource();
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Asks for a slot and notes when it is there. */
function ask(name: string, order: string[], signal = never): void {
  void Promise.resolve(slots.acquire('e', signal)).then(
    () => order.push(name),
    () => order.push(`${name} left`),
  );
}

function refusal(): FlmError {
  try {
    void slots.acquire('e', never);
  } catch (error) {
    if (error instanceof FlmError) return error;
  }
  throw new Error('it was not refused');
}

describe('acquire', () => {
  test('gives a free slot at once, without a promise', () => {
    expect([slots.acquire('e', never), slots.acquire('e', never)]).toEqual([0, 0]);
    expect(slots.load('e')).toEqual({ active: 2, waiting: 0 });
  });

  test('keeps engines apart', () => {
    for (let i = 0; i < 2; i++) slots.acquire('e', never);
    expect(slots.acquire('other', never)).toBe(0);
    expect([slots.load('other'), slots.load('unheard of')]).toEqual([
      { active: 1, waiting: 0 },
      { active: 0, waiting: 0 },
    ]);
  });

  test('lets those who wait in by the order they came, and tells how long they waited', async () => {
    for (let i = 0; i < 2; i++) slots.acquire('e', never);
    const first = slots.acquire('e', never);
    clock.advance(100);
    const second = slots.acquire('e', never);
    clock.advance(50);
    slots.release('e', 150);
    slots.release('e', 150);
    expect(await Promise.all([first, second])).toEqual([150, 50]);
    expect(slots.load('e')).toEqual({ active: 2, waiting: 0 });
  });

  test('lets nobody past those who wait', async () => {
    const order: string[] = [];
    for (const name of ['a', 'b', 'c', 'd']) ask(name, order);
    slots.release('e', 1);
    ask('e', order); // a slot was free for a moment, and c had it
    await settle();
    expect(order).toEqual(['a', 'b', 'c']);
  });

  test('refuses beyond the limit, with a time to come back', () => {
    for (let i = 0; i < 5; i++) void slots.acquire('e', never);
    const error = refusal();
    expect([error.code, error.status, error.meta]).toEqual([
      'QUEUE_FULL',
      429,
      { engine: 'e', waiting: 3, retryAfterSeconds: 2 },
    ]);
    expect(slots.load('e')).toEqual({ active: 2, waiting: 3 });
  });

  test('refuses everybody who would have to wait when nobody may', () => {
    limit = 0;
    for (let i = 0; i < 2; i++) expect(slots.acquire('e', never)).toBe(0);
    expect(refusal().code).toBe('QUEUE_FULL');
  });

  test('tells a longer time when requests take longer, at least a second and at most a minute', () => {
    for (let i = 0; i < 5; i++) void slots.acquire('e', never);
    const after = (heldMs: number) => {
      for (let i = 0; i < 60; i++) {
        slots.release('e', heldMs);
        void slots.acquire('e', never);
      }
      return refusal().meta.retryAfterSeconds;
    };
    expect([after(1), after(4_000), after(10_000_000)]).toEqual([1, 8, 60]);
  });
});

describe('somebody who leaves', () => {
  test('before asking takes nothing', () => {
    const gone = new CancelSource();
    gone.abort('left');
    expect(() => slots.acquire('e', gone)).toThrow('left');
    expect(slots.load('e')).toEqual({ active: 0, waiting: 0 });
  });

  test('while waiting frees the place in the queue, and the next in line is not held up', async () => {
    const order: string[] = [];
    const leaver = new CancelSource();
    for (const name of ['a', 'b']) ask(name, order);
    ask('c', order, leaver);
    ask('d', order);
    leaver.abort(new Error('left'));
    expect(slots.load('e')).toEqual({ active: 2, waiting: 1 });
    slots.release('e', 1);
    await settle();
    expect(order).toEqual(['a', 'b', 'c left', 'd']);
    expect(slots.load('e')).toEqual({ active: 2, waiting: 0 });
  });

  test('is told why, in the words of the one who ended it', () => {
    const leaver = new CancelSource();
    for (let i = 0; i < 2; i++) slots.acquire('e', never);
    const waiting = slots.acquire('e', leaver);
    const reason = new Error('the key was revoked');
    leaver.abort(reason);
    expect(waiting).rejects.toBe(reason);
  });

  test('after the slot came still owes it', async () => {
    const leaver = new CancelSource();
    for (let i = 0; i < 2; i++) slots.acquire('e', never);
    const waiting = slots.acquire('e', leaver);
    slots.release('e', 1);
    leaver.abort('left');
    expect(await waiting).toBe(0);
    expect(slots.load('e').active).toBe(2);
    slots.release('e', 1);
    expect(slots.load('e').active).toBe(1);
  });
});

describe('an engine that changes', () => {
  test('that has grown lets in everybody it has room for as soon as anything happens', async () => {
    const order: string[] = [];
    capacity = 1;
    for (const name of ['a', 'b', 'c']) ask(name, order);
    capacity = 3;
    ask('d', order);
    await settle();
    expect([order, slots.load('e')]).toEqual([['a', 'b', 'c'], { active: 3, waiting: 1 }]);
  });

  test('that has grown refuses nobody while it has room, however full the queue was', async () => {
    const order: string[] = [];
    [capacity, limit] = [1, 2];
    for (const name of ['a', 'b', 'c']) ask(name, order);
    expect(refusal().code).toBe('QUEUE_FULL');
    capacity = 10;
    ask('d', order);
    await settle();
    expect([order.toSorted(), slots.load('e')]).toEqual([['a', 'b', 'c', 'd'], { active: 4, waiting: 0 }]);
  });

  test('that has shrunk starts nobody until enough have finished', async () => {
    const order: string[] = [];
    capacity = 3;
    for (const name of ['a', 'b', 'c', 'd', 'e']) ask(name, order);
    capacity = 1;
    for (let i = 0; i < 2; i++) slots.release('e', 1);
    await settle();
    expect([order.length, slots.load('e')]).toEqual([3, { active: 1, waiting: 2 }]);
    slots.release('e', 1);
    await settle();
    expect([order.length, slots.load('e')]).toEqual([4, { active: 1, waiting: 1 }]);
  });
});
