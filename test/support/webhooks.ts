/**
 * A receiver of webhooks on a port of its own: verifies every signature as a customer would, with the public key and
 * node:crypto alone, and answers as the test says, well or badly.
 */
import { createPublicKey, verify } from 'node:crypto';
import type { Socket } from 'node:net';
import { listenRequests, type RequestServer } from './tcp';

export interface ReceivedHook {
  readonly id: string;
  readonly timestamp: number;
  /** The whole head, in lower case. */
  readonly head: string;
  readonly body: string;
  readonly json: {
    readonly type: string;
    readonly timestamp: string;
    readonly data: Record<string, unknown>;
  };
  readonly isSigned: boolean;
}

export interface HookReceiver extends AsyncDisposable {
  readonly url: string;
  readonly received: ReceivedHook[];
  /** `whpk_…` of who may write here. */
  publicKey: string;
  /** What becomes of the next requests, in order; then 204. A function does what it likes with the socket. */
  readonly answers: (number | string | ((socket: Socket) => void))[];
  readonly server: RequestServer;
}

/** SubjectPublicKeyInfo around an Ed25519 key (RFC 8410 §4). */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

export async function receiveHooks(): Promise<HookReceiver> {
  const received: ReceivedHook[] = [];
  const answers: HookReceiver['answers'] = [];
  const receiver = { publicKey: '' };
  const server = await listenRequests(({ head, body, socket }, done) => {
    done();
    received.push(hookOf(head, body.toString(), receiver.publicKey));
    const answer = answers.shift() ?? 204;
    if (typeof answer === 'function') answer(socket);
    else socket.write(typeof answer === 'string' ? answer : empty(answer));
  });
  return Object.assign(receiver, {
    url: `${server.url}/hook/s3cret-path`,
    received,
    answers,
    server,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  });
}

/** An answer with headers, each with its end of line. */
export const empty = (status: number, headers = ''): string =>
  `HTTP/1.1 ${status} Whatever\r\ncontent-length: 0\r\n${headers}\r\n`;

function hookOf(head: string, body: string, publicKey: string): ReceivedHook {
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? '';
  const [id, timestamp, signatures] = [
    header('webhook-id'),
    header('webhook-timestamp'),
    header('webhook-signature'),
  ];
  const content = Buffer.from(`${id}.${timestamp}.${body}`);
  const isSigned = signatures.split(' ').some((each) => {
    const [version, signature = ''] = each.split(',');
    return version === 'v1a' && verify(null, content, keyOf(publicKey), Buffer.from(signature, 'base64'));
  });
  return {
    id,
    timestamp: Number(timestamp),
    head: head.toLowerCase(),
    body,
    json: JSON.parse(body),
    isSigned,
  };
}

function keyOf(publicKey: string) {
  const raw = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64');
  return createPublicKey({ key: Buffer.concat([SPKI_HEAD, raw]), format: 'der', type: 'spki' });
}
