/**
 * A place on loopback that never accepts: a process that listens and then stands still, its queue filled to the brim.
 * Whoever connects waits, as for a host behind a firewall that drops packets.
 */
import type { Socket } from 'bun';

export interface Blackhole extends AsyncDisposable {
  readonly port: number;
}

const LISTEN_AND_SLEEP = `
  const server = require('node:net').createServer(() => {});
  server.listen(0, '127.0.0.1', () => {
    require('node:fs').writeSync(1, String(server.address().port));
    Bun.sleepSync(60_000);
  });`;

export async function openBlackhole(): Promise<Blackhole> {
  const child = Bun.spawn([process.execPath, '-e', LISTEN_AND_SLEEP], { stdout: 'pipe', stderr: 'inherit' });
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  const sockets: Socket[] = [];
  const connectMany = (): void => {
    for (let i = 0; i < 100; i++) {
      Bun.connect({
        hostname: '127.0.0.1',
        port,
        socket: { open: (socket) => void sockets.push(socket), data() {}, error() {}, connectError() {} },
      }).catch(() => {}); // Those that did not fit fail when it is all over.
    }
  };
  // The kernel answers for a listener until its queue is full: full is when a hundred more get no answer.
  for (let before = -1; sockets.length === 0 || sockets.length !== before; ) {
    before = sockets.length;
    connectMany();
    await Bun.sleep(50);
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.terminate();
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}
