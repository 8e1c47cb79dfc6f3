/** The rules of the watch where real sockets would need minutes or thousands: on a table of descriptors made up here. */
import { expect, test } from 'bun:test';
import type { Limits } from './limits';
import type { Sockets } from './sockets';
import { type CutReason, createWatch } from './watch';

const PORT = 8080;
const TLS_PORT = 8_081;
const TIMEOUT_MS = 10_000;
const STEP_MS = 50;

interface Fake {
  identity: number;
  address: string;
  peerPort: number;
  localPort: number;
  sent: number;
  received: number;
  isBlocked: boolean;
}

function start({ maxPerAddress = 256, maxOpen = 10_000 } = {}) {
  const table = new Map<number, Fake>();
  const cuts: { descriptor: number; reason: CutReason }[] = [];
  const farewells: (string | null | undefined)[] = [];
  const served = new Set<number>();
  /** Who has come, by the port of the proxy that speaks for them; null: it has not said yet. */
  const announced = new Map<number, { address: string; port: number } | null>();
  let identities = 0;
  let nowMs = 0;
  let ports = [PORT];
  const sockets: Sockets = {
    most: 20_000,
    bound: () => Math.max(64, ...table.keys()) + 1,
    identify: (descriptor) => table.get(descriptor)?.identity ?? 0,
    endsOf: (descriptor) => table.get(descriptor) ?? null,
    passed: (descriptor) => table.get(descriptor) ?? null,
    cut(descriptor, farewell) {
      table.delete(descriptor);
      farewells.push(farewell === null ? null : Buffer.from(farewell).toString().split('\r\n', 1)[0]);
    },
    close() {},
  };
  const limits: Limits = {
    maxPerAddress,
    headerTimeoutMs: TIMEOUT_MS,
    minBodyBytesPerSecond: null,
    isExempt: () => false,
  };
  const watch = createWatch({
    sockets,
    limits: () => limits,
    maxOpen: () => maxOpen,
    ports: () => ports,
    frontPorts: () => [TLS_PORT],
    trusted: () => ({ has: () => false }),
    clientOf: ({ address, peerPort }) => {
      const told = announced.get(peerPort);
      return told === undefined ? { address, port: peerPort } : told;
    },
    maxFrom: () => maxPerAddress,
    bucketOf: (ip) => ip,
    mayServe: (port) => served.has(port),
    visitServed(visit) {
      for (const port of served) visit('192.0.2.1', port);
    },
    onCut: (reason, { descriptor }) => void cuts.push({ descriptor, reason }),
  });
  return {
    watch,
    table,
    cuts,
    farewells,
    served,
    announced,
    setPorts: (next: number[]) => {
      ports = next;
    },
    open(descriptor: number, fields: Partial<Fake> = {}): Fake {
      const fake: Fake = {
        identity: ++identities,
        address: '192.0.2.1',
        peerPort: 40_000 + descriptor,
        localPort: PORT,
        sent: 0,
        received: 5,
        isBlocked: false,
        ...fields,
      };
      table.set(descriptor, fake);
      return fake;
    },
    run(ms: number, stepMs = STEP_MS): void {
      for (let passed = 0; passed < ms; passed += stepMs) {
        nowMs += stepMs;
        watch.step(nowMs);
      }
    },
  };
}

test('a descriptor that somebody else has now begins anew', () => {
  const { run, open, cuts, watch, table } = start();
  open(9);
  run(9_000);
  open(9);
  run(9_000);
  expect(cuts).toEqual([]);
  expect(watch.open()).toBe(1);
  run(2_000);
  expect(cuts).toEqual([{ descriptor: 9, reason: 'slow_request' }]);
  expect([table.size, watch.open()]).toEqual([0, 0]);
});

test('nobody is blamed for a pause of FLM itself', () => {
  const { run, open, cuts } = start();
  const fake = open(9);
  run(1_000);
  run(30_000, 30_000);
  // Its request came meanwhile; FLM reads and answers it now.
  fake.received += 500;
  run(1_000);
  fake.sent += 300;
  run(60_000);
  expect(cuts).toEqual([]);
});

test('a request that FLM works on may take an hour, and the one after it may not', () => {
  const { run, open, cuts, served } = start();
  const fake = open(9);
  served.add(fake.peerPort);
  run(3_600_000);
  expect(cuts).toEqual([]);
  served.clear();
  fake.sent += 100;
  run(60_000);
  expect(cuts).toEqual([]);
  fake.received += 1;
  run(2.5 * TIMEOUT_MS);
  expect(cuts).toEqual([{ descriptor: 9, reason: 'slow_request' }]);
});

test('connections to other ports, and what is no connection, are left alone until their port is a proxy’s', () => {
  const { run, open, cuts, watch, setPorts } = start();
  open(9, { localPort: 9_090 });
  run(60_000);
  expect([watch.open(), cuts]).toEqual([0, []]);
  setPorts([PORT, 9_090]);
  run(1_000);
  expect(watch.open()).toBe(1);
});

test('in TLS nobody is told in the open, nor blamed for a handshake that looks like half a request', () => {
  const { run, open, cuts, farewells, setPorts } = start();
  setPorts([PORT, TLS_PORT]);
  open(9);
  open(10, { localPort: TLS_PORT });
  run(2.5 * TIMEOUT_MS);
  expect(cuts).toEqual([
    { descriptor: 9, reason: 'slow_request' },
    { descriptor: 10, reason: 'silent' },
  ]);
  expect(farewells).toEqual(['HTTP/1.1 408 Request Timeout', null]);
});

test('of thousands, a few at a time are cut; ten times as many when there are far too many', () => {
  const calm = start({ maxOpen: 1_900 });
  for (let descriptor = 10; descriptor < 2_010; descriptor++)
    calm.open(descriptor, { address: `192.0.2.${descriptor % 100}` });
  calm.run(4_000);
  const before = calm.cuts.length;
  calm.run(STEP_MS);
  expect(calm.cuts.length - before).toBeLessThanOrEqual(4);
  calm.run(4_000);
  expect(calm.cuts.length).toBe(100);
  expect(new Set(calm.cuts.map(({ reason }) => reason))).toEqual(new Set(['total_limit']));

  const flood = start({ maxOpen: 500 });
  for (let descriptor = 10; descriptor < 2_010; descriptor++)
    flood.open(descriptor, { address: `192.0.2.${descriptor % 100}` });
  flood.run(4_000);
  expect(flood.table.size).toBeLessThanOrEqual(550);
});

test('whom a proxy speaks for is waited for, and then is whoever it said, by address and port', () => {
  const { run, open, cuts, watch, announced, served } = start({ maxPerAddress: 1 });
  const [first, second] = [open(9), open(10)];
  announced.set(first.peerPort, null);
  announced.set(second.peerPort, null);
  run(60_000);
  expect([cuts, watch.open()]).toEqual([[], 0]);
  announced.set(first.peerPort, { address: '192.0.2.1', port: 7 });
  announced.set(second.peerPort, { address: '203.0.113.9', port: 8 });
  // The gateway knows them as they were told.
  served.add(7);
  run(9_000);
  expect([cuts, watch.open()]).toEqual([[], 2]);
  run(3_000);
  expect(cuts).toEqual([{ descriptor: 10, reason: 'slow_request' }]);
});
