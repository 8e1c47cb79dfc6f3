/** An engine that keeps every byte it is sent, and believes no more of it than the letter of RFC 9112. */
import { createServer, type Socket } from 'node:net';

/** One request as it came. */
export interface Heard {
  /** The request line and the header lines. */
  readonly lines: readonly string[];
  readonly body: string;
}

export interface RecordingEngine {
  readonly url: string;
  /** What came since it was last asked. Bytes that are no request are one, without a body. */
  taken(): readonly Heard[];
  close(): Promise<void>;
}

/** A model of it. */
export const MODEL = 'recorded';
const LIST = JSON.stringify({ object: 'list', data: [{ id: MODEL, object: 'model' }] });
const ANSWER = JSON.stringify({
  object: 'chat.completion',
  model: MODEL,
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Paris' } }],
});

export async function startRecordingEngine(): Promise<RecordingEngine> {
  const heard: Heard[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    let bytes = '';
    socket.setEncoding('latin1');
    socket.on('data', (piece: string) => {
      bytes += piece;
      for (let next = readRequest(bytes); next !== null; next = readRequest(bytes)) {
        bytes = bytes.slice(next.bytes);
        heard.push(next.heard);
        answer(socket, next.heard.lines[0]?.startsWith('GET ') === true ? LIST : ANSWER);
      }
    });
    // What is no request and never became one.
    socket.on('close', () => {
      if (bytes !== '') heard.push({ lines: bytes.split('\r\n'), body: '' });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    taken: () => heard.splice(0),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function readRequest(bytes: string): { readonly heard: Heard; readonly bytes: number } | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const lines = bytes.slice(0, end).split('\r\n');
  const length = lines.find((line) => /^content-length:/i.test(line))?.replace(/^[^:]*: */, '') ?? '0';
  const total = end + 4 + Number(length);
  if (bytes.length < total) return null;
  return { heard: { lines, body: bytes.slice(end + 4, total) }, bytes: total };
}

function answer(socket: Socket, json: string): void {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
  socket.write(`${head}Content-Length: ${json.length}\r\n\r\n${json}`);
}
