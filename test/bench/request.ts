/** The chat request every row gets: about 2 kB of JSON in hand-written HTTP/1.1, the same bytes but for the port. */
import { BENCH_MODEL } from './answers';

const BODY_BYTES = 2000;
const SENTENCE = 'The gateway reads the model name, checks the key and hands the rest on as it came. ';

export interface ChatRequest {
  port: number;
  /** The whole Authorization header; rows that need no key get it too. */
  authorization: string;
  /** How many tokens to stream; null asks for one JSON answer. */
  stream: { tokens: number } | null;
}

/** Head and body of the request as one buffer, ready to be written. */
export function chatRequest({ port, authorization, stream }: ChatRequest): Buffer {
  const body = chatBody(stream?.tokens ?? null);
  const head = [
    'POST /v1/chat/completions HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    `Authorization: ${authorization}`,
    'Content-Type: application/json',
    'Accept: */*',
    'User-Agent: flm-bench',
    `Content-Length: ${body.length}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function chatBody(tokens: number | null): string {
  const asked =
    tokens === null ? { temperature: 0.2 } : { temperature: 0.2, stream: true, max_tokens: tokens };
  const messages = [
    { role: 'system', content: 'You are a terse assistant.' },
    { role: 'user', content: '' },
  ];
  const bare = JSON.stringify({ model: BENCH_MODEL, messages, ...asked }).length;
  const filler = SENTENCE.repeat(Math.ceil(BODY_BYTES / SENTENCE.length)).slice(0, BODY_BYTES - bare);
  messages[1] = { role: 'user', content: filler };
  return JSON.stringify({ model: BENCH_MODEL, messages, ...asked });
}
