/**
 * The routes of the llama.cpp server beside OpenAI's first three: /v1/responses, /v1/messages with its count, and
 * /v1/rerank, as recorded in test/golden/llamacpp.
 */
import type { EngineView, Outcome, Recipe } from './answer';
import { asFields, asList, countPromptTokens, type Fields } from './generate';
import { answerNative, type NativeRoute, toChat } from './native';

const NO_RERANKING = 'This server does not support reranking. Start it with `--reranking`';

/** Answers one of these routes; `/v1/messages/count_tokens` takes no slot, the others do. */
export function doNativeWork(path: string, fields: Fields, view: EngineView, recipe: Recipe): Outcome {
  switch (path) {
    case '/v1/rerank':
      return rerank(fields, view);
    case '/v1/messages/count_tokens':
      return {
        type: 'json',
        body: { input_tokens: countPromptTokens(toChat('messages', fields)) },
        delayMs: 0,
      };
    default: {
      const route = path.slice(4) as NativeRoute;
      const needed = route === 'messages' ? 'messages' : 'input';
      if (fields[needed] === undefined) {
        // A missing list of messages is taken for the server's own mistake.
        const [code, type] = route === 'messages' ? [500, 'server_error'] : [400, 'invalid_request_error'];
        return failure(Number(code), `'${needed}' is required`, String(type));
      }
      return answerNative('llamacpp', route, fields, view.models[0], view, recipe);
    }
  }
}

/** Scores by words in common; the real one's are logits, and negative ones mean: not relevant. */
function rerank(fields: Fields, view: EngineView): Outcome {
  if (!view.reranking) return failure(501, NO_RERANKING, 'not_supported_error');
  if (typeof fields.query !== 'string')
    return failure(400, '"query" must be provided', 'invalid_request_error');
  const documents = asList(fields.documents ?? fields.texts);
  if (documents.length === 0) {
    return failure(400, '"documents" must be a non-empty string array', 'invalid_request_error');
  }
  const wanted = words(fields.query);
  const scored = documents.map((document, index) => {
    const text = typeof document === 'string' ? document : String(asFields(document)?.text ?? '');
    const common = words(text).filter((word) => wanted.includes(word)).length;
    return { index, relevance_score: common - 1.5 };
  });
  const best = scored.sort((a, b) => b.relevance_score - a.relevance_score);
  const top = typeof fields.top_n === 'number' ? fields.top_n : best.length;
  const tokens = countPromptTokens({ prompt: [fields.query, ...documents.map(String)] });
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  const body = {
    // The only route that repeats the name it was asked for.
    model: fields.model ?? view.models[0],
    object: 'list',
    usage,
    results: best.slice(0, top),
  };
  return { type: 'json', body, delayMs: view.tokenDelayMs };
}

function words(text: string): string[] {
  return text.toLowerCase().split(/\W+/);
}

function failure(code: number, message: string, type: string): Outcome {
  return { type: 'error', status: code, body: { error: { code, message, type } } };
}
