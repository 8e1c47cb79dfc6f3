/** The `openai` SDK of npm. */
import OpenAI, { APIError } from 'openai';
import { VERSION } from 'openai/version';
import { MAX_TOKENS, QUESTION, type Report, SCHEMA, type Target, TOOL, TOOL_PROMPT } from './openai-report';

export async function askWithNpm({ baseUrl, key, model, limitedModel }: Target): Promise<Report> {
  const options = { baseURL: baseUrl, maxRetries: 0 };
  const client = new OpenAI({ ...options, apiKey: key });
  const stranger = new OpenAI({ ...options, apiKey: 'flm_wrong' });
  const question = {
    model,
    messages: [{ role: 'user' as const, content: QUESTION }],
    temperature: 0,
    max_tokens: MAX_TOKENS,
  };
  const withTool = {
    ...question,
    messages: [{ role: 'user' as const, content: TOOL_PROMPT }],
    max_tokens: 60,
    tools: [TOOL],
  };

  const models: string[] = [];
  for await (const entry of client.models.list()) models.push(entry.id);
  const chat = await client.chat.completions.create(question);
  const tool = await client.chat.completions.create(withTool);
  const toolStream = await client.chat.completions.stream(withTool).finalChatCompletion();
  const structured = await client.chat.completions.create({
    ...question,
    response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: SCHEMA, strict: true } },
  });
  const input = ['a red fox', 'a red fox', 'tax law'];
  // By default the SDK asks for base64 and decodes it.
  const embedded = (await client.embeddings.create({ model, input })).data.map((entry) => entry.embedding);

  return {
    version: VERSION,
    models,
    retrieved: (await client.models.retrieve(model)).id,
    chat: {
      content: chat.choices[0]?.message.content ?? '',
      finish: chat.choices[0]?.finish_reason ?? '',
      usage: usageOf(chat.usage) ?? { prompt: 0, completion: 0, total: 0 },
    },
    stream: await streamed(),
    tool: toolCallIn(tool),
    toolStream: toolCallIn(toolStream),
    embeddings: {
      count: embedded.length,
      dimensions: embedded[0]?.length ?? 0,
      equal: Bun.deepEquals(embedded[0], embedded[1]),
    },
    structured: JSON.parse(structured.choices[0]?.message.content ?? 'null'),
    refusals: {
      auth: await refusalOf(stranger.chat.completions.create(question)),
      noModel: await refusalOf(client.chat.completions.create({ ...question, model: 'no-such-model' })),
      noSuchModel: await refusalOf(client.models.retrieve('no-such-model')),
      badRequest: await refusalOf(client.chat.completions.create({ ...question, messages: 'none' as never })),
      limited:
        limitedModel === null
          ? null
          : await refusalOf(client.chat.completions.create({ ...question, model: limitedModel })),
    },
  };

  async function streamed(): Promise<Report['stream']> {
    const stream = await client.chat.completions.create({
      ...question,
      stream: true,
      stream_options: { include_usage: true },
    });
    let content = '';
    let chunks = 0;
    let finish = '';
    let usage: OpenAI.CompletionUsage | null = null;
    for await (const chunk of stream) {
      chunks++;
      content += chunk.choices[0]?.delta.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    return { content, chunks, finish, usage: usageOf(usage) };
  }
}

function usageOf(usage: OpenAI.CompletionUsage | null | undefined): Report['chat']['usage'] | null {
  if (usage === null || usage === undefined) return null;
  return { prompt: usage.prompt_tokens, completion: usage.completion_tokens, total: usage.total_tokens };
}

function toolCallIn({ choices }: OpenAI.ChatCompletion): Report['tool'] {
  const [choice] = choices;
  const call = choice?.message.tool_calls?.[0];
  if (choice === undefined || call?.type !== 'function') throw new Error('no tool call');
  return {
    name: call.function.name,
    arguments: JSON.parse(call.function.arguments),
    finish: choice.finish_reason,
  };
}

async function refusalOf(request: Promise<unknown>): Promise<Report['refusals']['auth']> {
  try {
    await request;
  } catch (error) {
    if (error instanceof APIError && error.status !== undefined)
      return { error: error.constructor.name, status: error.status, code: error.code ?? null };
    throw error;
  }
  throw new Error('it was not refused');
}
