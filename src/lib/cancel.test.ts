/** What ends work under way: told once, in order, with the first reason. */
import { describe, expect, test } from 'bun:test';
import { CancelSource, toAbortSignal } from './cancel';

describe('CancelSource', () => {
  test('tells its listeners once, in the order they came, and keeps the first reason', () => {
    const source = new CancelSource();
    const told: string[] = [];
    source.addEventListener('abort', { handleEvent: () => told.push('first') });
    source.addEventListener('abort', { handleEvent: () => told.push('second') });
    expect([source.aborted, source.reason]).toEqual([false, undefined]);
    source.abort('left');
    source.abort('again');
    expect([told, source.aborted, source.reason]).toEqual([['first', 'second'], true, 'left']);
  });

  test('is aborted, with its reason, before the first listener hears of it', () => {
    const source = new CancelSource();
    const seen: unknown[] = [];
    source.addEventListener('abort', { handleEvent: () => seen.push(source.aborted, source.reason) });
    source.abort('left');
    expect(seen).toEqual([true, 'left']);
  });

  test('does not tell a listener that was taken off, and taking off a stranger does nothing', () => {
    const source = new CancelSource();
    const told: string[] = [];
    const [kept, removed] = ['kept', 'removed'].map((name) => ({ handleEvent: () => told.push(name) }));
    if (kept === undefined || removed === undefined) throw new Error('unreachable');
    source.removeEventListener('abort', removed);
    source.addEventListener('abort', removed);
    source.addEventListener('abort', kept);
    source.removeEventListener('abort', removed);
    source.removeEventListener('abort', { handleEvent: () => {} });
    source.abort(null);
    source.removeEventListener('abort', kept);
    expect(told).toEqual(['kept']);
  });

  test('may lose and gain listeners while it tells them', () => {
    const source = new CancelSource();
    const told: string[] = [];
    const self = {
      handleEvent() {
        told.push('self');
        source.removeEventListener('abort', self);
        source.addEventListener('abort', { handleEvent: () => told.push('too late') });
      },
    };
    source.addEventListener('abort', self);
    source.addEventListener('abort', { handleEvent: () => told.push('next') });
    source.abort(null);
    expect(told).toEqual(['self', 'next']);
  });
});

describe('toAbortSignal', () => {
  test('is the same signal when it is one already', () => {
    const { signal } = new AbortController();
    expect(toAbortSignal(signal)).toBe(signal);
  });

  test('aborts when the source does, with its reason', () => {
    const source = new CancelSource();
    const signal = toAbortSignal(source);
    expect(signal.aborted).toBe(false);
    source.abort('left');
    expect([signal.aborted, signal.reason]).toEqual([true, 'left']);
  });

  test('is aborted already when the source is', () => {
    const source = new CancelSource();
    source.abort('left');
    const signal = toAbortSignal(source);
    expect([signal.aborted, signal.reason]).toEqual([true, 'left']);
  });
});
