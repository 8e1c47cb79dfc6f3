/** Requests for tests of egress, and what comes of them. */
import type { EgressRequest, EgressResponse } from '../../src/egress';
import { EgressError, type EgressFailure } from '../../src/egress';
import { createHttp1Client, type Http1Client } from '../../src/egress/http1/client';
import type { TcpRequest } from './tcp';

const clients: Http1Client[] = [];

/** A client that `closeClients`, in an `afterEach`, closes. */
export function newClient(...options: Partial<Parameters<typeof createHttp1Client>>): Http1Client {
  const [monotonicMs = () => performance.now(), limits] = options;
  const client = createHttp1Client(monotonicMs, limits);
  clients.push(client);
  return client;
}

export function closeClients(): void {
  for (const client of clients.splice(0)) client.close();
}

export function get(url: string, more: Partial<EgressRequest> = {}): EgressRequest {
  return { url, method: 'GET', headers: {}, body: null, signal: null, ...more };
}

export function post(
  url: string,
  body: EgressRequest['body'],
  more: Partial<EgressRequest> = {},
): EgressRequest {
  return { url, method: 'POST', headers: {}, body, signal: null, ...more };
}

export async function textOf(response: Promise<EgressResponse> | EgressResponse): Promise<string> {
  return Buffer.from(await (await response).body.bytes()).toString();
}

/** The kind of a failure. @throws what is not an EgressError */
export async function failureOf(promise: Promise<unknown>): Promise<EgressFailure> {
  const error = await promise.then(
    () => 'no failure',
    (reason: unknown) => reason,
  );
  if (error instanceof EgressError) return error.kind;
  throw error;
}

/** A whole answer. `headers`: lines that end in CRLF. */
export const ok = (body = 'ok', headers = ''): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`;

/** Answers with `ok()` and keeps the connection. */
export const answerOk = ({ socket }: TcpRequest, done: () => void): void => {
  done();
  socket.write(ok());
};
