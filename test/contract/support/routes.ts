/** The routes that engines are asked on: which fake speaks which, a request for each, and how its stream ends. */
import type { InferenceRoute } from '../../../src/contract';
import type { FakeKind, FakeOptions } from '../../fake';
import type { Chat } from './gateway';

export const CHAT = '/v1/chat/completions';
export const RESPONSES = '/v1/responses';
export const MESSAGES = '/v1/messages';
export const COUNT_TOKENS = '/v1/messages/count_tokens';
export const RERANK = '/v1/rerank';

const OPENAI = [CHAT, '/v1/completions', '/v1/embeddings'] as const;

export const SPOKEN: Readonly<Record<FakeKind, readonly InferenceRoute[]>> = {
  llamacpp: [...OPENAI, RESPONSES, MESSAGES, COUNT_TOKENS, RERANK],
  ollama: [...OPENAI, RESPONSES, MESSAGES],
  openai: OPENAI,
  // A vLLM with a model that chats; one that embeds or reranks answers on those routes alone.
  vllm: [CHAT, '/v1/completions', RESPONSES, MESSAGES, COUNT_TOKENS],
  lmstudio: [...OPENAI, RESPONSES, MESSAGES],
};

/** A model that does everything its engine can. */
export const ALL = 'all-round:latest';

/** For a fake that answers on every route its engine has. */
export const ALL_ROUND: FakeOptions = {
  models: [{ name: ALL, capabilities: ['completion', 'embedding', 'tools'] }],
  reranking: true,
};

const QUESTION = 'What is the capital of France?';
const SAID = [{ role: 'user', content: QUESTION }];
const COUNTED: Chat = { messages: SAID };

const BODIES: Readonly<Record<InferenceRoute, Chat>> = {
  '/v1/chat/completions': { messages: SAID },
  '/v1/completions': { prompt: QUESTION },
  '/v1/embeddings': { input: QUESTION },
  '/v1/responses': { input: QUESTION },
  '/v1/messages': { max_tokens: 100, messages: SAID },
  '/v1/messages/count_tokens': COUNTED,
  '/v1/rerank': { query: QUESTION, documents: ['Llamas eat grass', 'Paris is in France'] },
};

/** A request on a route; `fields` go on top. */
export function bodyFor(route: InferenceRoute, model: string, fields: Chat = {}): Chat {
  return { model, ...BODIES[route], ...fields };
}

const STREAMED: ReadonlySet<InferenceRoute> = new Set([CHAT, '/v1/completions', RESPONSES, MESSAGES]);

export type Mode = 'stream' | 'whole';

export function modesOf(route: InferenceRoute): readonly Mode[] {
  return STREAMED.has(route) ? ['stream', 'whole'] : ['whole'];
}

/** How the last event of a proper answer begins or what it is. */
export function isEnd(route: InferenceRoute, data: string): boolean {
  if (route === RESPONSES) return /"type": ?"response\.(completed|incomplete)"/.test(data);
  return route === MESSAGES ? /^\{"type": ?"message_stop"\}$/.test(data.trim()) : data === '[DONE]';
}
