/** Tor's control port (control-spec): who we are, and one onion service after the other. A service lives as long as its connection. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { FlmError, reasonOf } from '../../lib/errors';
import { parseEndpoint } from '../tunnel/server';

export interface OnionService {
  /** 56 characters, without `.onion`. */
  readonly id: string;
  /** `ED25519-V3:…`, with which the same service can be made again. */
  readonly key: string;
}

export interface OnionRequest {
  /** Null makes a new service. */
  readonly key: string | null;
  /** Where its visitors are led, on this machine. */
  readonly port: number;
  /** x25519 keys in base32 of who may know that it is there; empty: everybody who has the address. */
  readonly clients: readonly string[];
}

export interface TorControl {
  addOnion(request: OnionRequest): Promise<OnionService>;
  removeOnion(id: string): Promise<void>;
  /** Resolves when the connection has ended, and with it every service. */
  readonly closed: Promise<void>;
  close(): void;
}

/** How long tor may take for an answer. */
const ANSWER_MS = 10_000;
/** The port that visitors of the address use. */
const PUBLIC_PORT = 80;
/** Connections of one visitor at the same time: tor alone tells visitors apart. */
const MAX_STREAMS = 256;
const COOKIE_BYTES = 32;

/** @throws ONION_UNAVAILABLE when nobody answers there, or does not accept us */
export async function connectControl(endpoint: string, password: string | null): Promise<TorControl> {
  const place = parseEndpoint(endpoint);
  if (place === null) throw unavailable(`${endpoint} is no host:port`);
  const socket = new Socket();
  const conversation = converse(socket);
  socket.connect(place);
  try {
    await authenticate(conversation.ask, password);
  } catch (error) {
    socket.destroy();
    throw error instanceof FlmError
      ? error
      : unavailable(`tor does not answer at ${endpoint} (${reasonOf(error)})`);
  }
  return {
    closed: conversation.closed,
    close: () => void socket.destroy(),

    async addOnion({ key, port, clients }) {
      const words = [
        'ADD_ONION',
        key ?? 'NEW:ED25519-V3',
        ...(clients.length === 0 ? [] : ['Flags=V3Auth']),
        `MaxStreams=${MAX_STREAMS}`,
        `Port=${PUBLIC_PORT},127.0.0.1:${port}`,
        ...clients.map((client) => `ClientAuthV3=${client}`),
      ];
      const lines = await conversation.ask(words.join(' '));
      const id = /^ServiceID=([a-z2-7]{56})$/m.exec(lines)?.[1];
      const made = key ?? /^PrivateKey=(ED25519-V3:\S+)$/m.exec(lines)?.[1];
      if (id === undefined || made === undefined)
        throw unavailable('tor answers what FLM does not understand');
      return { id, key: made };
    },

    async removeOnion(id) {
      await conversation.ask(`DEL_ONION ${id}`);
    },
  };
}

type Ask = (command: string) => Promise<string>;

/** One question at a time. What tor refuses is thrown in its own words, which hold nothing of the question. */
function converse(socket: Socket): { readonly ask: Ask; readonly closed: Promise<void> } {
  const closed = Promise.withResolvers<void>();
  let failure: unknown = new Error('the connection was closed');
  let held = '';
  let answer: PromiseWithResolvers<string> | null = null;
  let last: Promise<unknown> = Promise.resolve();
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => {
    answer?.reject(failure);
    closed.resolve();
  });
  socket.on('data', (data) => {
    held += data.toString('latin1');
    // control-spec §2.3: the last line of a reply has a space behind its status.
    const end = /^\d{3} .*\r\n/m.exec(held);
    if (end === null) return;
    const reply = held.slice(0, end.index + end[0].length);
    held = held.slice(reply.length);
    const lines = reply
      .trimEnd()
      .split('\r\n')
      .map((line) => line.slice(4));
    const waiting = answer;
    answer = null;
    if (/^250 /m.test(end[0])) waiting?.resolve(lines.join('\n'));
    else waiting?.reject(unavailable(`tor refuses it: ${lines.at(-1) ?? ''}`));
  });

  async function put(command: string): Promise<string> {
    if (socket.destroyed) throw failure;
    const waiting = Promise.withResolvers<string>();
    answer = waiting;
    const timer = setTimeout(() => socket.destroy(new Error('it does not answer in time')), ANSWER_MS);
    socket.write(`${command}\r\n`);
    try {
      return await waiting.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    closed: closed.promise,
    ask(command) {
      const asked = last.then(() => put(command));
      last = asked.catch(() => {});
      return asked;
    },
  };
}

async function authenticate(ask: Ask, password: string | null): Promise<void> {
  const info = await ask('PROTOCOLINFO 1');
  const methods = /^AUTH METHODS=(\S+)/m.exec(info)?.[1]?.split(',') ?? [];
  if (methods.includes('NULL')) return void (await ask('AUTHENTICATE'));
  const file = /COOKIEFILE="((?:[^"\\]|\\.)*)"/.exec(info)?.[1]?.replaceAll(/\\(.)/g, '$1');
  if (methods.includes('HASHEDPASSWORD') && password !== null)
    return void (await ask(`AUTHENTICATE "${password.replaceAll(/["\\]/g, '\\$&')}"`));
  if (!methods.includes('SAFECOOKIE') || file === undefined)
    throw unavailable('its control port wants a password: flm egress login set --tor-control');
  await proveCookie(ask, cookieIn(file));
}

/**
 * Shows that we know the cookie without telling it (control-spec §3.24), once the other side has shown the same: whoever
 * pretends to be tor learns nothing, whatever file it names.
 */
async function proveCookie(ask: Ask, cookie: Buffer): Promise<void> {
  const ours = randomBytes(32);
  const reply = await ask(`AUTHCHALLENGE SAFECOOKIE ${ours.toString('hex')}`);
  const [, hash = '', theirs = ''] =
    /SERVERHASH=([0-9A-F]{64}) SERVERNONCE=([0-9A-F]{64})/i.exec(reply) ?? [];
  const proof = (side: string) =>
    createHmac('sha256', `Tor safe cookie authentication ${side} hash`)
      .update(Buffer.concat([cookie, ours, Buffer.from(theirs, 'hex')]))
      .digest();
  const shown = Buffer.from(hash, 'hex');
  if (shown.length !== 32 || !timingSafeEqual(shown, proof('server-to-controller')))
    throw unavailable('what listens there is not the tor that wrote the cookie');
  await ask(`AUTHENTICATE ${proof('controller-to-server').toString('hex')}`);
}

function cookieIn(file: string): Buffer {
  try {
    const cookie = readFileSync(file);
    if (cookie.length === COOKIE_BYTES) return cookie;
  } catch (error) {
    throw unavailable(
      `its cookie (${file}) cannot be read (${reasonOf(error)}); let this account read it (CookieAuthFileGroupReadable 1, group debian-tor), or use a password`,
    );
  }
  throw unavailable(`its cookie (${file}) is none`);
}

export function unavailable(reason: string): FlmError {
  return new FlmError('ONION_UNAVAILABLE', { meta: { reason } });
}
