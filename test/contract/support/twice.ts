/** The same request made directly and through FLM, and what may differ between the two (design §3). */
import { expect } from 'bun:test';
import type { FakeEngine } from '../../fake';
import { type Gateway, workOf } from './gateway';
import { type Answer, ask, type WireRequest } from './raw';

/** Response headers that may differ: of one connection, of whoever sends them, or FLM's own (design §3, headers.ts). */
const MAY_DIFFER =
  /^(connection|keep-alive|te|trailer|transfer-encoding|upgrade|proxy-.*|content-length|date|server|set-cookie|strict-transport-security|alt-svc|access-control-.*|x-request-id|x-flm-.*)$/;

interface Exchange {
  readonly answer: Answer;
  /** The body as it reached the engine. */
  readonly received: Buffer;
}

export interface Twice {
  readonly direct: Exchange;
  readonly through: Exchange;
}

/** Makes a request twice. The key goes only to FLM. */
export async function twice(gateway: Gateway, fake: FakeEngine, request: WireRequest): Promise<Twice> {
  const answerOf = async (url: string, sent: WireRequest): Promise<Exchange> => {
    const before = workOf(fake).length;
    const answer = await ask(url, sent);
    const received = workOf(fake)[before]?.body ?? Buffer.from('(nothing)');
    return { answer, received };
  };
  const direct = await answerOf(fake.url, request);
  const headers = [...(request.headers ?? []), gateway.auth];
  return { direct, through: await answerOf(gateway.url, { ...request, headers }) };
}

function comparable({ headers }: Answer): string[] {
  return headers
    .filter(([name]) => !MAY_DIFFER.test(name.toLowerCase()))
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .sort();
}

/** The client saw the same: status, headers, every byte of the body. */
export function expectSame(
  { direct, through }: Twice,
  change: (body: string) => string = (body) => body,
): void {
  expect(direct.answer.complete).toBe(true);
  expect(through.answer.complete).toBe(true);
  expect(through.answer.status).toBe(direct.answer.status);
  expect(through.answer.body.toString('latin1')).toBe(change(direct.answer.body.toString('latin1')));
  expect(comparable(through.answer)).toEqual(comparable(direct.answer));
}
