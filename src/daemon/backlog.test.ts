/** What is kept of requests while another process has the data directory. */
import { expect, test } from 'bun:test';
import type { RequestFacts } from '../contract';
import { createBus } from '../lib/bus';
import { createBacklog } from './backlog';

function facts(requestId: string): RequestFacts {
  return {
    requestId,
    atMs: 1,
    ip: '127.0.0.1',
    method: 'POST',
    path: '/v1/chat/completions',
    principalId: 'k',
    certificate: null,
    model: 'm',
    engineId: 'e',
    attempts: 1,
    isStream: true,
    outcome: 'done',
    status: 200,
    errorCode: null,
    waitedMs: 0,
    firstByteMs: 1,
    firstTokenMs: 1,
    durationMs: 2,
    usage: null,
    engineModel: null,
    trace: { traceId: '1'.repeat(32), spanId: '2'.repeat(16), parentSpanId: null, isSampled: false },
  };
}

test('keeps what is told from start to stop, in order, also what could not be handed on', async () => {
  const bus = createBus();
  const backlog = createBacklog(bus);
  const finish = async (id: string): Promise<void> => {
    bus.publish({ name: 'request.finished', request: facts(id) });
    await Promise.resolve();
  };
  const ids = ({ finished }: { finished: readonly RequestFacts[] }) =>
    finished.map(({ requestId }) => requestId);

  await finish('before');
  backlog.start();
  bus.publish({ name: 'request.opened', request: facts('1') });
  await finish('1');
  await finish('1b');
  const taken = backlog.take(1);
  expect([taken.opened.length, ids(taken)]).toEqual([1, ['1']]);
  await finish('2');
  backlog.putBack(taken);
  await finish('3');
  expect(ids(backlog.stop())).toEqual(['1', '1b', '2', '3']);
  await finish('after');
  expect(ids(backlog.stop())).toEqual([]);

  // Its heir may be gone for long: the oldest give way.
  backlog.start();
  for (let n = 0; n < 10_100; n++) await finish(String(n));
  const kept = ids(backlog.stop());
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([10_000, '100', '10099']);
});

test('a key that was sent as the name of a model is not kept, not half of it either', async () => {
  const bus = createBus();
  const backlog = createBacklog(bus);
  backlog.start();
  const key = `flm_Ab12Cd34${'x'.repeat(38)}`;
  for (const model of [key, 'm'.repeat(190) + key, 'm'.repeat(300)])
    bus.publish({ name: 'request.finished', request: { ...facts(model), model } });
  await Promise.resolve();
  const models = backlog.stop().finished.map(({ model }) => model ?? '');
  expect(models.map((model) => model.length <= 200)).toEqual([true, true, true]);
  expect(models.filter((model) => model.includes('xxxxxx'))).toEqual([]);
});
