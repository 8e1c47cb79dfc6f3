/** Ports of this machine for tests. */

/** A port that was free a moment ago, on loopback, with `after` free ones behind it. */
export async function freePort(after = 0): Promise<number> {
  for (;;) {
    const held = [listen(0)];
    const [first] = held;
    if (first === null || first === undefined) throw new Error('there is no free port');
    const { port } = first;
    for (let next = port + 1; next <= port + after; next++) held.push(listen(next));
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
