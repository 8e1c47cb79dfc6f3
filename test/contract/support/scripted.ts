/** An engine whose every answer is written out by the test, byte for byte: for what no fault of the fakes does. */
import { type Ending, listenRaw, type RecordedRequest, type Wire } from '../../fake/http';

export interface ScriptedEngine extends AsyncDisposable {
  readonly url: string;
  /** Requests for work, in the order of arrival. */
  readonly requests: readonly RecordedRequest[];
  connections(): number;
}

/** Answers one request for work. */
export type Script = (request: RecordedRequest, wire: Wire) => Promise<Ending>;

const MODELS = JSON.stringify({ object: 'list', data: [{ id: 'scripted', object: 'model' }] });

/** Starts an OpenAI-compatible engine with one model, `scripted`. */
export async function startScripted(script: Script): Promise<ScriptedEngine> {
  const requests: RecordedRequest[] = [];
  const server = await listenRaw(
    { hostname: '127.0.0.1', port: 0, keepAliveMs: 5_000 },
    async (request, wire) => {
      if (request.method === 'GET') {
        await wire.write(whole('200 OK', MODELS));
        return 'keep-alive';
      }
      requests.push(request);
      return script(request, wire);
    },
  );
  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    connections: server.connections,
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** An answer in JSON, with more headers as lines. */
export function whole(status: string, json: string, headers: readonly string[] = []): Buffer {
  const lines = ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(json)}`, ...headers];
  return Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join('\r\n')}\r\n\r\n${json}`);
}

/** The head of a stream in chunks. */
export const STREAM_HEAD = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
);

/** One HTTP chunk. */
export function chunkOf(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
}

export const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** An event that says `content`, or why it finished. */
export function eventOf(content: string | null): string {
  const choice =
    content === null
      ? { index: 0, delta: {}, finish_reason: 'stop' }
      : { index: 0, delta: { content }, finish_reason: null };
  return `data: ${JSON.stringify({ object: 'chat.completion.chunk', model: 'scripted', choices: [choice] })}\n\n`;
}

export const DONE = 'data: [DONE]\n\n';
