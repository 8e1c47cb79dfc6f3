/** What the mock engine says: OpenAI's shapes as bytes, built once, so that an answer costs the mock one write. */

export const BENCH_MODEL = 'bench-model';

const CREATED_S = 1_760_000_000;
const ID = 'chatcmpl-5f0c6a7e2b9d4c1f8e3a7b60d2c95e14';
const WORDS = [' the', ' gateway', ' hands', ' every', ' token', ' to', ' its', ' client'];

/** A JSON answer as a complete response. */
export function jsonResponse(status: string, value: unknown): Buffer {
  const body = JSON.stringify(value);
  return Buffer.from(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

/** The answer to a chat request that does not stream: about 450 bytes of JSON. */
export function chatAnswer(): Buffer {
  const content = 'A gateway takes a request, asks the engine and hands back its answer, byte for byte.';
  return jsonResponse('200 OK', {
    id: ID,
    object: 'chat.completion',
    created: CREATED_S,
    model: BENCH_MODEL,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 431, completion_tokens: 19, total_tokens: 450 },
    system_fingerprint: 'fp_bench',
  });
}

/** The answer to `GET /v1/models`: one model. */
export function modelList(): Buffer {
  const model = { id: BENCH_MODEL, object: 'model', created: CREATED_S, owned_by: 'flm-bench' };
  return jsonResponse('200 OK', { object: 'list', data: [model] });
}

/** The refusal of a path the mock does not have. */
export function notFound(): Buffer {
  const error = { message: 'not found', type: 'invalid_request_error', param: null, code: 'not_found' };
  return jsonResponse('404 Not Found', { error });
}

/** The pieces of a streamed answer, each framed as one HTTP chunk unless said otherwise. */
export interface StreamFrames {
  /** Response head and the chunk that names the role, in one piece. */
  open: Buffer;
  /** One token each, about 230 bytes; a stream takes them in turn. */
  tokens: Buffer[];
  /** The finish_reason chunk, `[DONE]` and the end of the response. */
  close: Buffer;
  /** The same with a usage chunk before `[DONE]`. */
  closeWithUsage: Buffer;
}

/** Builds the frames of a streamed answer; `tokens` is only what the usage chunk reports. */
export function streamFrames(tokens: number): StreamFrames {
  const usage = { prompt_tokens: 431, completion_tokens: tokens, total_tokens: 431 + tokens };
  const finish = chunk([{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }]);
  const done = `${framed('data: [DONE]\n\n')}0\r\n\r\n`;
  return {
    open: Buffer.from(
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n' +
        `Transfer-Encoding: chunked\r\n\r\n${framed(chunk([choice({ role: 'assistant', content: '' })]))}`,
    ),
    tokens: WORDS.map((content) => Buffer.from(framed(chunk([choice({ content })])))),
    close: Buffer.from(framed(finish) + done),
    closeWithUsage: Buffer.from(framed(finish) + framed(chunk([], { usage })) + done),
  };
}

function choice(delta: Record<string, string>): object {
  return { index: 0, delta, logprobs: null, finish_reason: null };
}

function chunk(choices: object[], more: object = {}): string {
  const head = { id: ID, object: 'chat.completion.chunk', created: CREATED_S, model: BENCH_MODEL };
  return `data: ${JSON.stringify({ ...head, system_fingerprint: 'fp_bench', choices, ...more })}\n\n`;
}

function framed(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}
