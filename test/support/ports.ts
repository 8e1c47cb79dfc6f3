/** Ports of this machine for tests. */

/** Below those that the systems give to whoever asks for any (ip_local_port_range): nobody gets one by accident meanwhile. */
const LOWEST = 12_000;
const HIGHEST = 30_000;

/** A port that was free a moment ago, on loopback, with `after` free ones behind it. */
export async function freePort(after = 0): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    const held = Array.from({ length: after + 1 }, (_, at) => listen(port + at));
    for (const socket of held) socket?.stop(true);
    if (held.every((socket) => socket !== null)) return port;
  }
}

function listen(port: number): Bun.TCPSocketListener<undefined> | null {
  try {
    return Bun.listen({ port, hostname: '127.0.0.1', socket: { data() {} } });
  } catch {
    return null; // Somebody has it.
  }
}
