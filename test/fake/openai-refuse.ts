/** What a server of vLLM's kind finds wrong with a request, in its own words (test/golden/openai, test/golden/vllm). */
import type { EngineView, Outcome } from './answer';
import { asFields, countPromptTokens, type Fields } from './generate';

/** Reads a request for work, or says what is wrong with it. */
export function readWork(
  path: string,
  text: string,
  view: EngineView,
): Outcome | { readonly fields: Fields } {
  let fields: Fields | null = null;
  try {
    fields = asFields(JSON.parse(text));
  } catch {
    // Refused below.
  }
  if (fields === null) return refuseJson(text);
  return refuseFields(path, fields, view) ?? { fields };
}

function refuseFields(path: string, fields: Fields, view: EngineView): Outcome | null {
  const model = fields.model;
  if (model !== undefined && !view.models.includes(String(model))) {
    const message = `The model \`${String(model)}\` does not exist. Valid aliases: ${view.models.join(', ')}.`;
    // Only Anthropic's route has Anthropic's shape, and only for this error.
    return path === '/v1/messages'
      ? { type: 'error', status: 404, body: { type: 'error', error: { type: 'NotFoundError', message } } }
      : failure(404, message, 'NotFoundError', 'model');
  }
  const needed = NEEDED[path] ?? 'messages';
  const wrong = path === '/v1/messages' ? refuseMessages(fields) : null;
  if (wrong) return wrong;
  if (fields[needed] === undefined && !path.endsWith('tokenize')) {
    const count = Object.keys(fields).length;
    const what = `{'type': 'missing', 'loc': 'body.${needed}', 'msg': 'Field required', 'input': '<dict of ${count} items>'}`;
    return failure(400, `1 validation error:\n  ${what}`, 'Bad Request', `body.${needed}`);
  }
  if (fields.stream_options !== undefined && fields.stream !== true) {
    const message = 'Stream options can only be defined when `stream=True`. (parameter=stream_options)';
    return failure(400, message, 'BadRequestError', 'stream_options');
  }
  const tokens = countPromptTokens(fields);
  const context = Math.max(...view.catalogue.map(({ loadedContextLength }) => loadedContextLength));
  if (tokens <= context) return null;
  const message = `This model's maximum context length is ${context} tokens. However, your request has ${tokens} input tokens. Please reduce the length of the input messages.`;
  return failure(400, message, 'BadRequestError', 'input_tokens');
}

const NEEDED: Record<string, string> = {
  '/v1/embeddings': 'input',
  '/v1/completions': 'prompt',
  '/v1/responses': 'input',
};

function refuseMessages({ messages, max_tokens }: Fields): Outcome | null {
  const problems = [
    ...(messages === undefined || Array.isArray(messages)
      ? []
      : [
          `{'type': 'list_type', 'loc': 'body.messages', 'msg': 'Input should be a valid list', 'input': 'x'}`,
        ]),
    ...(max_tokens === undefined
      ? [
          `{'type': 'missing', 'loc': 'body.max_tokens', 'msg': 'Field required', 'input': '<dict of 2 items>'}`,
        ]
      : []),
  ];
  if (problems.length === 0) return null;
  const [first = ''] = problems.map((problem) => /'loc': '([^']*)'/.exec(problem)?.[1]);
  const title = `${problems.length} validation error${problems.length > 1 ? 's' : ''}:`;
  return failure(400, [title, ...problems].join('\n  '), 'Bad Request', first);
}

function refuseJson(text: string): Outcome {
  if (text === '') {
    const what = "{'type': 'missing', 'loc': 'body', 'msg': 'Field required', 'input': 'None'}";
    return failure(400, `1 validation error:\n  ${what}`, 'Bad Request', 'body');
  }
  const at = `body.${text.length}`;
  const what = `{'type': 'json_invalid', 'loc': '${at}', 'msg': 'JSON decode error', 'input': '<dict of 0 items>', 'ctx': {'error': 'Expecting value'}}`;
  return failure(400, `1 validation error:\n  ${what}`, 'Bad Request', at);
}

function failure(code: number, message: string, type: string, param: string): Outcome {
  return { type: 'error', status: code, body: { error: { message, type, param, code } } };
}
