import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { EgressError } from '../errors';
import type { BodySink } from '../transport';
import { HeaderList } from './headers';
import { type Flow, IncomingResponse } from './incoming';

const HEAD = { status: 200, headers: new HeaderList('') };
const KIB = 1_024;

/** A connection that only remembers what it was told. */
class FakeFlow implements Flow {
  paused = false;
  abandoned = false;
  readonly calls: string[] = [];

  pause(): void {
    this.paused = true;
    this.calls.push('pause');
  }

  resume(): void {
    this.paused = false;
    this.calls.push('resume');
  }

  abandon(): void {
    this.abandoned = true;
    this.calls.push('abandon');
  }
}

function start(): { flow: FakeFlow; incoming: IncomingResponse } {
  const flow = new FakeFlow();
  const incoming = new IncomingResponse(flow);
  incoming.onHead(HEAD);
  return { flow, incoming };
}

/** A sink that writes down what it is told. */
function listSink(): BodySink & { readonly told: string[] } {
  const told: string[] = [];
  return {
    told,
    onData: (bytes) => void told.push(Buffer.from(bytes).toString()),
    onEnd: () => void told.push('<end>'),
    onError: (reason) => void told.push(`<${String(reason)}>`),
  };
}

const text = (value: string): Uint8Array => Buffer.from(value);

/** What becomes of a promise within the next microtasks: its value, its reason, or `pending`. */
function nowOf(promise: Promise<unknown>): Promise<unknown> {
  const later = (async () => {
    for (let i = 0; i < 10; i++) await null;
    return 'pending';
  })();
  return Promise.race([promise.catch((error: unknown) => error), later]);
}

describe('whole', () => {
  test.each([
    ['before it is asked for', true],
    ['after it is asked for', false],
  ])('gathers what came %s', async (_name, before) => {
    const { incoming } = start();
    const arrive = (): void => {
      incoming.onData(text('hel'));
      incoming.onData(text('lo'));
      incoming.end();
    };
    if (before) arrive();
    const whole = incoming.bytes();
    if (!before) arrive();
    expect(Buffer.from(await whole).toString()).toBe('hello');
  });

  test('of an empty body is empty', async () => {
    const { incoming } = start();
    incoming.end();
    expect((await incoming.bytes()).length).toBe(0);
  });

  test('goes on where the connection was paused, and pauses no more', async () => {
    const { flow, incoming } = start();
    incoming.onData(new Uint8Array(300 * KIB));
    expect(flow.paused).toBe(true);
    const whole = incoming.bytes();
    expect(flow.paused).toBe(false);
    for (let i = 0; i < 10; i++) incoming.onData(new Uint8Array(300 * KIB));
    expect(flow.paused).toBe(false);
    incoming.end();
    expect((await whole).length).toBe(3_300 * KIB);
  });

  test('fails with the reason, also when it broke off before', async () => {
    const reason = new Error('broken');
    for (const before of [true, false]) {
      const { incoming } = start();
      incoming.onData(text('hel'));
      if (before) incoming.fail(reason);
      const whole = incoming.bytes();
      if (!before) incoming.fail(reason);
      expect(await nowOf(whole)).toBe(reason);
    }
  });

  test('is given up when it is larger than any answer', async () => {
    const { flow, incoming } = start();
    const whole = incoming.bytes();
    const piece = new Uint8Array(8 * KIB * KIB);
    let sent = 0;
    while (!flow.abandoned && sent < 100) {
      incoming.onData(piece);
      sent++;
    }
    expect(sent).toBe(32);
    const error = await nowOf(whole);
    expect(error).toBeInstanceOf(EgressError);
    expect(error).toMatchObject({ kind: 'malformed' });
  });

  test('is given up sooner when it comes in single bytes, which cost more than they weigh', () => {
    const { flow, incoming } = start();
    void incoming.bytes().catch(() => {});
    const byte = new Uint8Array(1);
    let sent = 0;
    while (!flow.abandoned && sent < 10_000_000) {
      incoming.onData(byte);
      sent++;
    }
    expect(sent).toBeLessThan(3_000_000);
  });
});

describe('in pieces', () => {
  test('come in order, then null, again and again', async () => {
    const { incoming } = start();
    const reader = incoming.reader();
    incoming.onData(text('a'));
    incoming.onData(text('b'));
    expect(Buffer.from((await reader.read()) ?? '').toString()).toBe('a');
    incoming.end();
    expect(Buffer.from((await reader.read()) ?? '').toString()).toBe('b');
    expect(await reader.read()).toBe(null);
    expect(await reader.read()).toBe(null);
  });

  test('what came before it broke off is still handed out', async () => {
    const { incoming } = start();
    const reader = incoming.reader();
    const reason = new Error('broken');
    incoming.onData(text('a'));
    incoming.fail(reason);
    expect(Buffer.from((await reader.read()) ?? '').toString()).toBe('a');
    expect(await nowOf(reader.read())).toBe(reason);
    expect(await nowOf(reader.read())).toBe(reason);
  });

  test('pause the connection above 256 KiB, and let it go on below half of that', async () => {
    const { flow, incoming } = start();
    const reader = incoming.reader();
    for (let i = 0; i < 4; i++) incoming.onData(new Uint8Array(60 * KIB));
    expect(flow.paused).toBe(false);
    incoming.onData(new Uint8Array(60 * KIB));
    expect(flow.paused).toBe(true);
    await reader.read();
    await reader.read();
    expect(flow.paused).toBe(true);
    await reader.read();
    expect(flow.paused).toBe(false);
    expect(flow.calls).toEqual(['pause', 'resume']);
  });

  test('pause it sooner when they are single bytes', () => {
    const { flow, incoming } = start();
    let sent = 0;
    while (!flow.paused) {
      incoming.onData(new Uint8Array(1));
      sent++;
    }
    expect(sent).toBeLessThan(5_000);
  });

  test('never leave the connection paused at the end', () => {
    const { flow, incoming } = start();
    incoming.onData(new Uint8Array(300 * KIB));
    expect(flow.paused).toBe(true);
    incoming.end();
    expect(flow.paused).toBe(false);
    // From here on it is another request's.
    void incoming.read();
    incoming.pause();
    incoming.resume();
    incoming.cancel();
    expect(flow.calls).toEqual(['pause', 'resume']);
  });

  test('end with a reason when they are cancelled while somebody waits', async () => {
    const { flow, incoming } = start();
    const waiting = incoming.reader().read();
    incoming.cancel();
    expect(flow.abandoned).toBe(true);
    expect(await nowOf(waiting)).toMatchObject({ kind: 'closed' });
  });
});

describe('piped', () => {
  test('gives what waited before it returns, then what comes', () => {
    const { incoming } = start();
    const sink = listSink();
    incoming.onData(text('a'));
    incoming.onData(text('b'));
    incoming.pipe(sink);
    expect(sink.told).toEqual(['a', 'b']);
    incoming.onData(text('c'));
    incoming.end();
    expect(sink.told).toEqual(['a', 'b', 'c', '<end>']);
  });

  test('tells the end, or the failure, that came before', () => {
    const ended = start().incoming;
    ended.onData(text('a'));
    ended.end();
    const sink = listSink();
    ended.pipe(sink);
    expect(sink.told).toEqual(['a', '<end>']);

    const failed = start().incoming;
    failed.onData(text('a'));
    failed.fail('why');
    const other = listSink();
    failed.pipe(other);
    expect(other.told).toEqual(['a', '<why>']);
  });

  test('goes on where the connection was paused before anybody listened', () => {
    const { flow, incoming } = start();
    incoming.onData(new Uint8Array(300 * KIB));
    expect(flow.paused).toBe(true);
    incoming.pipe(listSink());
    expect(flow.paused).toBe(false);
  });

  test('pauses only when told to, and never twice', () => {
    const { flow, incoming } = start();
    const tap = incoming.pipe(listSink());
    for (let i = 0; i < 10; i++) incoming.onData(new Uint8Array(100 * KIB));
    expect(flow.calls).toEqual([]);
    tap.pause();
    tap.pause();
    tap.resume();
    tap.resume();
    expect(flow.calls).toEqual(['pause', 'resume']);
  });

  test('says one end only', () => {
    const { incoming } = start();
    const sink = listSink();
    incoming.pipe(sink);
    incoming.fail('first');
    incoming.fail('second');
    expect(sink.told).toEqual(['<first>']);

    const { incoming: other } = start();
    const otherSink = listSink();
    other.pipe(otherSink);
    other.end();
    other.fail('late');
    expect(otherSink.told).toEqual(['<end>']);
  });

  test('says nothing after it was cancelled, and closes the connection once', () => {
    const { flow, incoming } = start();
    const sink = listSink();
    const tap = incoming.pipe(sink);
    tap.cancel();
    tap.cancel();
    incoming.onData(text('late'));
    incoming.fail('late');
    expect(sink.told).toEqual([]);
    expect(flow.calls).toEqual(['abandon']);
  });
});

describe('a head that never comes', () => {
  test('fails whoever waits for it', async () => {
    const incoming = new IncomingResponse(new FakeFlow());
    const reason = new Error('broken');
    incoming.fail(reason);
    expect(await nowOf(incoming.response)).toBe(reason);
  });
});

test('whatever the order of arrivals, reads and pauses: nothing is lost, and only a stopped reader pauses', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('arrive' as const), size: fc.integer({ min: 1, max: 200 * KIB }) }),
    fc.record({ do: fc.constant('read' as const), size: fc.constant(0) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { flow, incoming } = start();
      let arrived = 0;
      let read = 0;
      let waiting = 0;
      for (const { do: action, size } of steps) {
        // A paused connection delivers nothing more.
        if (action === 'arrive' && !flow.paused) {
          incoming.onData(new Uint8Array(size));
          arrived += size;
          waiting++;
        } else if (action === 'read' && waiting > 0) {
          read += (await incoming.read())?.length ?? 0;
          waiting--;
        }
        expect(arrived - read).toBeLessThan(462 * KIB);
        if (waiting === 0) expect(flow.paused).toBe(false);
      }
      incoming.end();
      expect(flow.paused).toBe(false);
      for (let piece = await incoming.read(); piece !== null; piece = await incoming.read())
        read += piece.length;
      expect(read).toBe(arrived);
    }),
    { numRuns: 200 },
  );
});
