/**
 * Many clients that are slow on purpose, a process of its own: `bun slow-attacker.ts <port> <first> <count> <key>` keeps
 * `count` connections open until it is killed, and begins each anew that is cut.
 */
import { connect, type Socket } from 'node:net';

const DRIP_MS = 5_000;
const RAMP_MS = 2;
const AGAIN_MS = 200;
/** So many connections share an address. */
const PER_ADDRESS = 100;
const HEAD = 'Host: localhost\r\nContent-Type: application/json\r\n';

/** What one does after it is connected: something now, and something at every drip. */
interface Slowness {
  readonly begin: (key: string) => string;
  readonly drip: string;
  readonly reads: boolean;
}

const KINDS: readonly Slowness[] = [
  { begin: () => '', drip: '', reads: true },
  { begin: () => `GET /v1/models HTTP/1.1\r\n${HEAD}X-Slow: `, drip: 'x', reads: true },
  // Refused without a key; what follows is a body that nobody wants.
  {
    begin: () => `POST /v1/chat/completions HTTP/1.1\r\n${HEAD}Content-Length: 500000\r\n\r\n`,
    drip: ' ',
    reads: true,
  },
  // Somebody who has a key, and so a place among the requests.
  {
    begin: (key) =>
      `POST /v1/chat/completions HTTP/1.1\r\n${HEAD}Authorization: Bearer ${key}\r\nContent-Length: 5000000\r\n\r\n`,
    drip: ' ',
    reads: true,
  },
  { begin: () => '', drip: `GET /v1/models HTTP/1.1\r\n${HEAD}\r\n`, reads: false },
];

function attack(port: number, index: number, key: string, open: Map<number, Socket>): void {
  const kind = KINDS[index % KINDS.length];
  if (kind === undefined) return;
  const site = Math.floor(index / PER_ADDRESS);
  const localAddress = `127.${10 + (site >> 8)}.${site & 255}.1`;
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  open.set(index, socket);
  socket.on('error', () => {});
  socket.once('connect', () => {
    if (!kind.reads) socket.pause();
    else socket.resume();
    socket.write(kind.begin(key));
  });
  socket.once('close', () => {
    open.delete(index);
    setTimeout(() => attack(port, index, key, open), AGAIN_MS);
  });
}

async function main([port, first, count, key = '']: readonly string[]): Promise<void> {
  const open = new Map<number, Socket>();
  // A few at a time, all round the clock: attackers do not keep step either.
  const ticks = DRIP_MS / 50;
  let tick = 0;
  setInterval(() => {
    tick = (tick + 1) % ticks;
    for (const [index, socket] of open) {
      const drip = KINDS[index % KINDS.length]?.drip ?? '';
      if (index % ticks === tick && drip !== '' && socket.writable) socket.write(drip);
    }
  }, 50);
  for (let index = Number(first); index < Number(first) + Number(count); index++) {
    attack(Number(port), index, key, open);
    if (index % 5 === 0) await Bun.sleep(RAMP_MS);
  }
  console.log('ready');
}

await main(process.argv.slice(2));
