/** Whether a SOCKS5 server is there and knows us: the beginning of a conversation (RFC 1928 §3, RFC 1929 §2), and no more. */
import { Socket } from 'node:net';
import { EgressError, translateFailure } from '../errors';
import type { SocksLogin, SocksServer } from './server';

const VERSION = 5;
const NO_LOGIN = 0;
const LOGIN = 2;
const LOGIN_VERSION = 1;

/**
 * Greets the server and hangs up. Something that accepts connections and says nothing is not there.
 * @throws EgressError of kind tunnel, with why it cannot be used
 */
export async function greet(server: SocksServer, timeoutMs: number): Promise<void> {
  const socket = new Socket();
  const timer = setTimeout(() => socket.destroy(new EgressError('timeout', SILENT)), timeoutMs);
  try {
    await converse(socket, server);
  } catch (error) {
    throw lostBecause(error);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

const SILENT = 'it does not answer in time';

/** The failure of a request that the tunnel did not even take. */
export function lostBecause(error: unknown): EgressError {
  const failure = translateFailure(error, null);
  return new EgressError('tunnel', failure instanceof Error ? failure.message : String(failure), error);
}

async function converse(socket: Socket, { host, port, login }: SocksServer): Promise<void> {
  const answers = answersOf(socket);
  socket.on('connect', () => {
    const methods = login === null ? [NO_LOGIN] : [NO_LOGIN, LOGIN];
    socket.write(Buffer.from([VERSION, methods.length, ...methods]));
  });
  socket.connect({ host, port });
  const [version, method] = await answers();
  if (version !== VERSION) throw new EgressError('tunnel', 'it does not speak SOCKS5');
  if (method === NO_LOGIN) return;
  if (method !== LOGIN || login === null) throw new EgressError('tunnel', WANTS_LOGIN);
  socket.write(loginMessage(login));
  const [, status] = await answers();
  if (status !== 0) throw new EgressError('tunnel', REFUSES_LOGIN);
}

export const WANTS_LOGIN = 'it wants a user name and a password (flm egress login set)';
export const REFUSES_LOGIN = 'it does not accept the user name and password (flm egress login set)';

function loginMessage({ user, password }: SocksLogin): Buffer {
  const [name, secret] = [Buffer.from(user), Buffer.from(password)];
  return Buffer.concat([
    Buffer.from([LOGIN_VERSION, name.length]),
    name,
    Buffer.from([secret.length]),
    secret,
  ]);
}

/** Each answer has two bytes. The function resolves with the next one, and rejects when the connection ends before. */
function answersOf(socket: Socket): () => Promise<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  let failure: unknown = null;
  let wake = (): void => {};
  socket.on('data', (data: Buffer) => {
    held = Buffer.concat([held, data]);
    wake();
  });
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => {
    failure ??= new EgressError('closed', 'it hangs up');
    wake();
  });
  return async () => {
    while (held.length < 2) {
      if (failure !== null) throw failure;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const answer = held.subarray(0, 2);
    held = held.subarray(2);
    return answer;
  };
}
