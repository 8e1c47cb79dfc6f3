/** Short requests without a pause, from connections that are kept and from new ones; every one that fails is written down. */
import { createConnection } from 'node:net';

export interface Load {
  /** Ends it and says how it went. */
  stop(): Promise<LoadResult>;
}

export interface LoadResult {
  readonly answered: number;
  /** What went wrong, and how often. */
  readonly failures: Readonly<Record<string, number>>;
}

/**
 * `clients` at once on `port` of this machine, half of which keep their connection for as long as the server lets them;
 * `request` is the whole of it, without Connection.
 */
export function startLoad(port: number, request: string, clients: number): Load {
  let going = true;
  let answered = 0;
  const failures: Record<string, number> = {};

  async function client(keeps: boolean): Promise<void> {
    while (going) {
      const failure = await useConnection(keeps);
      if (failure !== null) failures[failure] = (failures[failure] ?? 0) + 1;
    }
  }

  /** One connection, for one request or for as many as the server answers on it. Resolves with what went wrong. */
  function useConnection(keeps: boolean): Promise<string | null> {
    const text = request.replace('\r\n\r\n', `\r\nConnection: ${keeps ? 'keep-alive' : 'close'}\r\n\r\n`);
    return new Promise((resolve) => {
      let heard = '';
      /** Whether an answer is owed; a server may close a connection on which none is. */
      let asking = true;
      const socket = createConnection(port, '127.0.0.1', () => socket.write(text));
      const end = (failure: string | null): void => {
        socket.destroy();
        resolve(failure);
      };
      socket.on('data', (data) => {
        heard += data.toString('latin1');
        const head = heard.indexOf('\r\n\r\n');
        if (head === -1) return;
        const length = /^content-length: (\d+)\r$/im.exec(heard)?.[1];
        if (length === undefined || heard.length < head + 4 + Number(length)) return;
        asking = false;
        if (!heard.startsWith('HTTP/1.1 200')) return end(heard.split('\r\n', 1)[0] ?? 'no status');
        answered++;
        const closes = /^connection: close\r$/im.test(heard.slice(0, head + 2));
        if (!keeps || closes || !going) return end(null);
        heard = '';
        asking = true;
        socket.write(text);
      });
      socket.on('error', (error: NodeJS.ErrnoException) =>
        end(asking ? (error.code ?? error.message) : null),
      );
      socket.on('close', () => end(asking ? 'closed without an answer' : null));
    });
  }

  const all = Promise.all(Array.from({ length: clients }, (_, index) => client(index % 2 === 0)));
  return {
    async stop() {
      going = false;
      await all;
      return { answered, failures };
    },
  };
}
