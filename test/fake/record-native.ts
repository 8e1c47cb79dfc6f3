/** The questions about routes beside OpenAI's chat, completions and embeddings: asked of every engine alike. */
import { buildRequest } from './raw-client';

const QUESTION = 'What is the capital of France?';
const CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const WEATHER = { name: 'get_weather', description: 'Get the weather of a city' };

export interface NativeModels {
  readonly chat: string;
  /** A model that calls tools, and the words that make it do so. */
  readonly tools: string;
  readonly toolQuestion: string;
}

/** /v1/responses, /v1/messages, /v1/messages/count_tokens and /v1/rerank, by the names of their recordings. */
export function nativeQuestions(models: NativeModels): Record<string, Buffer> {
  const responses = (fields: object): Buffer =>
    buildRequest('POST', '/v1/responses', {
      model: models.chat,
      input: QUESTION,
      temperature: 0,
      max_output_tokens: 12,
      ...fields,
    });
  const messages = (fields: object): Buffer =>
    buildRequest('POST', '/v1/messages', {
      model: models.chat,
      messages: [{ role: 'user', content: QUESTION }],
      temperature: 0,
      max_tokens: 12,
      ...fields,
    });
  const responseTool = {
    model: models.tools,
    input: models.toolQuestion,
    tools: [{ type: 'function', ...WEATHER, parameters: CITY }],
    max_output_tokens: 60,
  };
  const messageTool = {
    model: models.tools,
    messages: [{ role: 'user', content: models.toolQuestion }],
    tools: [{ ...WEATHER, input_schema: CITY }],
    max_tokens: 60,
  };
  const count = { model: models.chat, messages: [{ role: 'user', content: QUESTION }] };
  return {
    responses: responses({}),
    'responses-stream': responses({ stream: true }),
    'responses-length': responses({ max_output_tokens: 3 }),
    'responses-length-stream': responses({ max_output_tokens: 3, stream: true }),
    'responses-tool': responses(responseTool),
    'responses-tool-stream': responses({ ...responseTool, stream: true }),
    'responses-no-input': buildRequest('POST', '/v1/responses', { model: models.chat }),
    'error-responses-bad-json': buildRequest('POST', '/v1/responses', '{"model":'),
    'responses-wrong-model': responses({ model: 'nope', max_output_tokens: 2 }),
    messages: messages({}),
    'messages-stream': messages({ stream: true }),
    'messages-length': messages({ max_tokens: 3 }),
    'messages-length-stream': messages({ max_tokens: 3, stream: true }),
    'messages-tool': messages(messageTool),
    'messages-tool-stream': messages({ ...messageTool, stream: true }),
    'error-messages-no-messages': buildRequest('POST', '/v1/messages', { model: models.chat, max_tokens: 3 }),
    'error-messages-bad-json': buildRequest('POST', '/v1/messages', '{"model":'),
    'messages-no-max-tokens': buildRequest('POST', '/v1/messages', count),
    'messages-wrong-model': messages({ model: 'nope', max_tokens: 2 }),
    'messages-count-tokens': buildRequest('POST', '/v1/messages/count_tokens', count),
    'error-rerank-unsupported': buildRequest('POST', '/v1/rerank', rerank(models.chat)),
  };
}

/** For a server that was started to rerank; the others are asked once, to hear how they refuse. */
export function rerankQuestions(model: string): Record<string, Buffer> {
  const ask = (fields: object): Buffer => buildRequest('POST', '/v1/rerank', { ...rerank(model), ...fields });
  return {
    rerank: ask({}),
    'rerank-top': ask({ top_n: 1 }),
    'rerank-wrong-model': ask({ model: 'nope' }),
    'error-rerank-no-documents': ask({ documents: [] }),
    'error-rerank-no-query': ask({ query: undefined }),
  };
}

function rerank(model: string): object {
  return { model, query: 'capital of France', documents: ['Llamas eat grass', 'Paris is in France'] };
}
