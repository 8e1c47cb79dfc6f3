/** W3C Trace Context through the proxy (HL-003): what an engine is told of the trace that a request belongs to. */
import { expect, test } from 'bun:test';
import { parseTraceparent, traceIdOf } from '../../src/lib/trace';
import type { HeaderPair } from '../fake/message';
import { chat, MODEL, requestIdOf, startGateway, workOf } from './support/gateway';
import { headerOf } from './support/raw';
import { CHAT } from './support/routes';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const STATE: HeaderPair = ['tracestate', 'vendor=opaque'];

/** What the engine was told, and what FLM recorded, of a request with these headers. */
async function trace(headers: readonly HeaderPair[]) {
  await using gateway = await startGateway();
  const fake = await gateway.addFake('llamacpp');
  const answer = await gateway.post(CHAT, chat(MODEL.llamacpp), { headers: [gateway.auth, ...headers] });
  expect(answer.status).toBe(200);
  // Nothing of it is in the answer: it would be a header that the engine did not give.
  expect(headerOf(answer, 'traceparent')).toBeNull();
  const [asked] = workOf(fake);
  const [record] = gateway.account().finished;
  return {
    id: requestIdOf(answer),
    parent: asked === undefined ? null : headerOf(asked, 'traceparent'),
    state: asked === undefined ? null : headerOf(asked, 'tracestate'),
    record: record?.trace,
  };
}

test('a valid traceparent and its state reach the engine', async () => {
  const { parent, state, record } = await trace([['traceparent', PARENT], STATE]);
  expect([parent, state]).toEqual([PARENT, 'vendor=opaque']);
  expect(record).toMatchObject({
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    parentSpanId: '00f067aa0ba902b7',
    isSampled: true,
  });
});

test.each(['nonsense', `${PARENT}-more`, PARENT.replace('4bf92f', '4BF92F')])(
  'an invalid traceparent (%s) is replaced, and its state stays here',
  async (invalid) => {
    const { id, parent, state, record } = await trace([['traceparent', invalid], STATE]);
    expect(parseTraceparent(parent)).toMatchObject({ traceId: traceIdOf(id), isSampled: false });
    expect(state).toBeNull();
    expect(record).toMatchObject({ traceId: traceIdOf(id), parentSpanId: null });
  },
);

test('without one the request id is the trace, and a state alone stays here', async () => {
  const { id, parent, state } = await trace([STATE]);
  expect(parseTraceparent(parent)?.traceId).toBe(traceIdOf(id));
  expect(state).toBeNull();
});
