/** The bus: later, in order, bounded, and no subscriber can hurt another or the publisher. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Event } from '../contract';
import { createBus } from './bus';

const revoked = (keyId: string): Event => ({ name: 'key.revoked', keyId });

/** Lets everything happen that waits for nothing but its turn. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('publish', () => {
  test('tells subscribers later, never while it is called', async () => {
    const bus = createBus();
    const seen: string[] = [];
    bus.subscribe('key.revoked', ({ keyId }) => seen.push(keyId));
    bus.publish(revoked('a'));
    expect(seen).toEqual([]);
    await settle();
    expect(seen).toEqual(['a']);
  });

  test('tells a subscriber only the events of its name, and only those after it came', async () => {
    const bus = createBus();
    const seen: string[] = [];
    bus.publish(revoked('before'));
    bus.subscribe('key.revoked', ({ keyId }) => seen.push(`revoked ${keyId}`));
    bus.subscribe('key.created', ({ keyId }) => seen.push(`created ${keyId}`));
    bus.publish({ name: 'key.created', keyId: 'a', label: 'l' });
    bus.publish({ name: 'config.changed', keys: ['proxy.port'] });
    bus.publish(revoked('a'));
    await settle();
    expect(seen.sort()).toEqual(['created a', 'revoked a']);
  });

  test('keeps the order for every subscriber, also of events that a handler publishes', async () => {
    const bus = createBus();
    const seen: [string[], string[]] = [[], []];
    bus.subscribe('key.revoked', ({ keyId }) => {
      seen[0].push(keyId);
      if (keyId.length < 3) bus.publish(revoked(`${keyId}+`));
    });
    bus.subscribe('key.revoked', ({ keyId }) => seen[1].push(keyId));
    for (const keyId of ['a', 'b']) bus.publish(revoked(keyId));
    await settle();
    expect(seen[0]).toEqual(['a', 'b', 'a+', 'b+', 'a++', 'b++']);
    expect(seen[1]).toEqual(seen[0]);
  });
});

describe('a slow subscriber', () => {
  test('loses its oldest events, counted, and never more memory than the capacity', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 20 }), fc.nat(60), async (capacity, count) => {
        const bus = createBus({ capacity });
        const seen: string[] = [];
        bus.subscribe('key.revoked', ({ keyId }) => seen.push(keyId));
        const sent = Array.from({ length: count }, (_, n) => String(n));
        for (const keyId of sent) bus.publish(revoked(keyId));
        expect(bus.dropped()).toBe(Math.max(0, count - capacity));
        await settle();
        expect(seen).toEqual(sent.slice(-capacity));
      }),
    );
  });

  test('costs the others nothing', async () => {
    const bus = createBus({ capacity: 2 });
    const seen: string[] = [];
    for (const keyId of ['a', 'b']) bus.publish(revoked(keyId)); // nobody listens: nothing is kept or lost
    bus.subscribe('key.revoked', ({ keyId }) => seen.push(keyId));
    bus.publish(revoked('c'));
    await settle();
    expect([seen, bus.dropped()]).toEqual([['c'], 0]);
  });
});

describe('a subscriber that throws', () => {
  test('is told of the next event all the same, and so are the others', async () => {
    const errors: unknown[] = [];
    const bus = createBus({ onError: (error, event) => errors.push([error, event]) });
    const seen: string[] = [];
    const failure = new Error('no');
    bus.subscribe('key.revoked', ({ keyId }) => {
      seen.push(`bad ${keyId}`);
      throw failure;
    });
    bus.subscribe('key.revoked', ({ keyId }) => seen.push(`good ${keyId}`));
    expect(() => bus.publish(revoked('a'))).not.toThrow();
    bus.publish(revoked('b'));
    await settle();
    expect(seen.sort()).toEqual(['bad a', 'bad b', 'good a', 'good b']);
    expect(errors).toEqual([
      [failure, revoked('a')],
      [failure, revoked('b')],
    ]);
  });
});

describe('leaving', () => {
  test('inside a handler ends it at once, also for events already on their way', async () => {
    const bus = createBus();
    const seen: string[] = [];
    const leave = bus.subscribe('key.revoked', ({ keyId }) => {
      seen.push(keyId);
      leave();
    });
    bus.subscribe('key.revoked', ({ keyId }) => seen.push(`other ${keyId}`));
    for (const keyId of ['a', 'b']) bus.publish(revoked(keyId));
    await settle();
    bus.publish(revoked('c'));
    await settle();
    expect(seen).toEqual(['a', 'other a', 'other b', 'other c']);
  });

  test('before an event arrives means that it does not', async () => {
    const bus = createBus();
    const seen: string[] = [];
    const leave = bus.subscribe('key.revoked', ({ keyId }) => seen.push(keyId));
    bus.publish(revoked('a'));
    leave();
    leave();
    await settle();
    expect(seen).toEqual([]);
  });

  test('close drops everybody and everything on its way', async () => {
    const bus = createBus();
    const seen: string[] = [];
    bus.subscribe('key.revoked', ({ keyId }) => seen.push(keyId));
    bus.publish(revoked('a'));
    bus.close();
    bus.publish(revoked('b'));
    await settle();
    expect(seen).toEqual([]);
  });
});
