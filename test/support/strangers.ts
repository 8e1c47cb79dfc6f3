/** Servers that are no engines: what else may listen on a port that FLM looks at. */

export interface Stranger extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/** Speaks HTTP: every request is answered by `answer`. */
export function httpStranger(answer: (path: string) => Response | Promise<Response>): Stranger {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    development: false,
    fetch: (request) => answer(new URL(request.url).pathname),
  });
  const port = server.port ?? 0;
  return { url: `http://127.0.0.1:${port}`, port, [Symbol.asyncDispose]: () => server.stop(true) };
}

/** Does not speak HTTP: says `greeting` to whoever connects, `reply` to whatever it hears, and never closes by itself. */
export function tcpStranger(greeting: Uint8Array | null, reply: Uint8Array | null): Stranger {
  const sockets = new Set<Bun.Socket>();
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        sockets.add(socket);
        if (greeting !== null) socket.write(greeting);
      },
      data(socket) {
        if (reply !== null) socket.write(reply);
      },
      close: (socket) => void sockets.delete(socket),
    },
  });
  return {
    url: `http://127.0.0.1:${listener.port}`,
    port: listener.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.terminate();
      listener.stop(true);
    },
  };
}
