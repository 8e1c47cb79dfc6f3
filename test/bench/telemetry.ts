/**
 * What telemetry costs: `bun test/bench/telemetry.ts`. Main-thread time for each request (goal: 1.5 µs), and a scrape with
 * 20 engines of 200 models each that were all asked (goal: 20 ms, and no stall that a request would notice).
 */
import type { RequestFacts } from '../../src/contract';
import { createBus } from '../../src/lib/bus';
import { newId } from '../../src/lib/ids';
import { exposition } from '../../src/telemetry/exposition';
import { createRegistry } from '../../src/telemetry/registry';
import { logRequests, requestLine } from '../../src/telemetry/request-log';
import { countTraffic } from '../../src/telemetry/traffic';

const ENGINES = 20;
const MODELS = 200;
const ROUNDS = 7;
const REQUESTS = 100_000;
/** As many events as the bus holds for one subscriber, and no more. */
const AT_ONCE = 1_000;

const usage = { promptTokens: 12, completionTokens: 34, cachedTokens: 3, reasoningTokens: null };
const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentSpanId: null, isSampled: false };
const facts = Array.from({ length: ENGINES * MODELS }, (_, index): RequestFacts => {
  const engineModel = `organisation/model-${Math.floor(index / ENGINES)}-instruct`;
  return {
    requestId: newId(),
    atMs: 1_760_000_000_000,
    ip: '192.0.2.77',
    method: 'POST',
    path: '/v1/chat/completions',
    principalId: 'Ab12Cd34',
    certificate: null,
    model: engineModel,
    engineId: `engine-${index % ENGINES}`,
    engineModel,
    attempts: 1,
    isStream: true,
    outcome: 'done',
    status: 200,
    errorCode: null,
    waitedMs: 0,
    firstByteMs: 120,
    firstTokenMs: 118,
    durationMs: 900,
    usage,
    trace,
  };
});

/** Median nanoseconds for each request that a bus with these subscribers takes. */
async function cost(subscribe: (bus: ReturnType<typeof createBus>) => void): Promise<number> {
  const bus = createBus();
  subscribe(bus);
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startNs = Bun.nanoseconds();
    for (let sent = 0; sent < REQUESTS; sent++) {
      const request = facts[sent % 100];
      if (request === undefined) continue;
      const { requestId, engineId, engineModel, waitedMs, durationMs, firstTokenMs } = request;
      bus.publish({
        name: 'attempt.finished',
        requestId,
        engineId: engineId ?? '',
        model: engineModel ?? '',
        outcome: 'done',
        waitedMs,
        durationMs,
        firstTokenMs,
        usage,
      });
      bus.publish({ name: 'request.finished', request });
      if (sent % AT_ONCE === 0) await Promise.resolve();
    }
    rounds.push((Bun.nanoseconds() - startNs) / REQUESTS);
  }
  if (bus.dropped() > 0) throw new Error('events were dropped: the figure is not one');
  return rounds.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
}

const registry = createRegistry();
const empty = await cost(() => {});
const counted = await cost((bus) => countTraffic({ registry: createRegistry(), bus, isKnown: () => true }));
let written = 0;
const logged = await cost((bus) =>
  logRequests({
    bus,
    destination: () => 'file',
    fullIps: () => false,
    toFile: (line) => {
      written += line.length;
    },
    toStdout: () => true,
    onLost: () => {},
  }),
);
console.log(`metrics       ${(counted - empty).toFixed(0)} ns for each request`);
console.log(
  `request log   ${(logged - empty).toFixed(0)} ns for each request (${JSON.stringify(requestLine(facts[0] as RequestFacts, false)).length} B a line, ${(written / 1e6).toFixed(0)} MB made)`,
);

const bus = createBus();
countTraffic({ registry, bus, isKnown: () => true });
for (const [index, request] of facts.entries()) {
  bus.publish({ name: 'request.finished', request });
  bus.publish({
    name: 'attempt.finished',
    requestId: request.requestId,
    engineId: request.engineId ?? '',
    model: request.engineModel ?? '',
    outcome: 'done',
    waitedMs: 0,
    durationMs: 900,
    firstTokenMs: 118,
    usage,
  });
  if (index % AT_ONCE === 0) await Promise.resolve();
}
await Promise.resolve();
for (let round = 0; round < ROUNDS; round++) {
  let longest = 0;
  let last = Bun.nanoseconds();
  let over = false;
  const watch = (): void => {
    const now = Bun.nanoseconds();
    longest = Math.max(longest, now - last);
    last = now;
    if (!over) setImmediate(watch);
  };
  watch();
  const startNs = Bun.nanoseconds();
  const text = await exposition(registry.families());
  const ms = (Bun.nanoseconds() - startNs) / 1e6;
  over = true;
  const lines = text.split('\n').length;
  console.log(
    `scrape ${round}      ${ms.toFixed(1)} ms, longest stall ${(longest / 1e6).toFixed(1)} ms, ${lines} lines, ${(text.length / 1e6).toFixed(1)} MB`,
  );
}
