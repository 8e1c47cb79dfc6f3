/** One question through the proxy, as any client would ask it: the answer piece by piece, and what it cost. */
import { OWN_NAME } from '../../certs';
import { type Egress, EgressError, type EgressRequest } from '../../src/egress';
import { errorFromWire, FlmError } from '../../src/lib/errors';
import { isRecord, parseJson } from '../../src/lib/json';
import { dataOf, eventsIn, SseSplitter } from '../../src/lib/sse';
import type { Place } from './place';

export interface Door {
  readonly egress: Egress;
  readonly place: Place;
  /** A key for one request. */
  issueKey(): Promise<string>;
}

export type Content =
  | string
  | readonly ({ type: 'text'; text: string } | { type: 'image_url'; image_url: { url: string } })[];

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: Content;
}

export interface Question {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly stream: boolean;
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly content: string;
  /** Pieces it came in; 1 when it was not streamed. */
  readonly chunks: number;
  /** As the engine reported it. */
  readonly usage: unknown;
}

const MAX_EVENT_BYTES = 16 * 1024 * 1024;

/** Asks, hands out text as it comes, and returns the whole. @throws what the proxy answered; PROXY_NOT_RUNNING */
export async function ask(door: Door, question: Question, onText: (text: string) => void): Promise<Answer> {
  try {
    return await askProxy(door, question, onText);
  } catch (error) {
    // The proxy itself has gone: engines that go are told in its answers.
    throw error instanceof EgressError ? new FlmError('PROXY_NOT_RUNNING', { cause: error }) : error;
  }
}

/** @throws as the proxy answers who asks for that model: MODEL_NOT_FOUND, ENGINE_NOT_FOUND; PROXY_NOT_RUNNING */
export async function requireModel(door: Door, model: string, signal: AbortSignal): Promise<void> {
  try {
    const response = await door.egress.send({
      ...targetOf(door.place, `/v1/models/${encodeURIComponent(model)}`),
      method: 'GET',
      headers: { authorization: `Bearer ${await door.issueKey()}` },
      body: null,
      signal,
    });
    const bytes = await response.body.bytes();
    if (response.status !== 200) throw errorIn(parseJson(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw error instanceof EgressError ? new FlmError('PROXY_NOT_RUNNING', { cause: error }) : error;
  }
}

/** What is asked, with what there is to look at. */
export function withImages(prompt: string, images: readonly string[]): Content {
  if (images.length === 0) return prompt;
  return [
    { type: 'text' as const, text: prompt },
    ...images.map((url) => ({ type: 'image_url' as const, image_url: { url } })),
  ];
}

async function askProxy(door: Door, question: Question, onText: (text: string) => void): Promise<Answer> {
  const response = await door.egress.send({
    ...targetOf(door.place, '/v1/chat/completions'),
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await door.issueKey()}` },
    body: JSON.stringify(bodyOf(question)),
    signal: question.signal,
  });
  const streams = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  if (response.status !== 200 || !streams) {
    const json = parseJson(new TextDecoder().decode(await response.body.bytes()));
    if (response.status !== 200) throw errorIn(json);
    const content = textOf(json, 'message');
    onText(content);
    return { content, chunks: 1, usage: isRecord(json) ? (json.usage ?? null) : null };
  }
  return readStream(response.body.reader(), onText);
}

async function readStream(
  reader: { read(): Promise<Uint8Array | null> },
  onText: (text: string) => void,
): Promise<Answer> {
  const splitter = new SseSplitter(MAX_EVENT_BYTES);
  let content = '';
  let chunks = 0;
  let usage: unknown = null;
  for (let bytes = await reader.read(); bytes !== null; bytes = await reader.read()) {
    for (const event of eventsIn(splitter.push(bytes) ?? new Uint8Array(0))) {
      const json = parseJson(dataOf(event) ?? '');
      if (!isRecord(json)) continue; // A ping, or [DONE].
      if (isRecord(json.error)) throw errorIn(json);
      if (isRecord(json.usage)) usage = json.usage;
      const text = textOf(json, 'delta');
      if (text === '') continue;
      content += text;
      chunks++;
      onText(text);
    }
  }
  return { content, chunks, usage };
}

function bodyOf({ model, messages, stream, temperature, maxTokens }: Question): Record<string, unknown> {
  return {
    model,
    messages,
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
  };
}

function textOf(json: unknown, part: 'message' | 'delta'): string {
  const choices: unknown[] = isRecord(json) && Array.isArray(json.choices) ? json.choices : [];
  const [choice] = choices;
  const message = isRecord(choice) ? choice[part] : null;
  return isRecord(message) && typeof message.content === 'string' ? message.content : '';
}

/** The proxy's own error, or the engine's words as they are. */
function errorIn(json: unknown): FlmError {
  const error = isRecord(json) && isRecord(json.error) ? json.error : {};
  const message = typeof error.message === 'string' ? error.message : 'The engine gave no reason.';
  const code = typeof error.code === 'string' ? error.code : '';
  return errorFromWire({ code, message, hint: null }, 'ENGINE_API_ERROR');
}

/** By a name that only FLM's own authority is asked for: one that the owner brought has a root that is not known here. */
function targetOf(
  { baseUrl, roots }: Place,
  path: string,
): Pick<EgressRequest, 'url' | 'tlsName' | 'tlsRoots'> {
  const url = `${baseUrl}${path}`;
  return roots === null ? { url } : { url, tlsName: OWN_NAME, tlsRoots: roots };
}
