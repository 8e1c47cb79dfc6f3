/** What the OpenAI SDKs make of an API: asked in the same words by openai-npm.ts and openai-pypi.py, told in one shape. */
import { expect } from 'bun:test';

export interface Target {
  /** `http://127.0.0.1:8080/v1` */
  readonly baseUrl: string;
  readonly key: string;
  readonly model: string;
  /** A model whose engine answers 429, or null where there is none. */
  readonly limitedModel: string | null;
}

interface Usage {
  readonly prompt: number;
  readonly completion: number;
  readonly total: number;
}

interface Refusal {
  /** The class of the error. */
  readonly error: string;
  readonly status: number;
  readonly code: unknown;
}

interface ToolCall {
  readonly name: string;
  readonly arguments: unknown;
  readonly finish: string;
}

export interface Report {
  readonly version: string;
  readonly models: readonly string[];
  readonly retrieved: string;
  readonly chat: { readonly content: string; readonly finish: string; readonly usage: Usage };
  readonly stream: {
    readonly content: string;
    readonly chunks: number;
    readonly finish: string;
    readonly usage: Usage | null;
  };
  readonly tool: ToolCall;
  readonly toolStream: ToolCall;
  readonly embeddings: { readonly count: number; readonly dimensions: number; readonly equal: boolean };
  readonly structured: unknown;
  readonly refusals: {
    readonly auth: Refusal;
    readonly noModel: Refusal;
    readonly noSuchModel: Refusal;
    readonly badRequest: Refusal;
    readonly limited: Refusal | null;
  };
}

export const QUESTION = 'What is the capital of France?';
export const MAX_TOKENS = 24;

export const TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
} as const;

/** A 135M model calls a tool reliably when it only has to repeat the call (shared/real-engines.md). */
export const TOOL_PROMPT =
  'Repeat this text exactly and nothing else:\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>';

export const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', enum: ['Paris', 'Rome'] } },
  required: ['city'],
  additionalProperties: false,
} as const;

/** Holds a report against what any engine has to give. */
export function expectReport(report: Report, target: Target): void {
  const usage: Usage = {
    prompt: expect.any(Number),
    completion: expect.any(Number),
    total: expect.any(Number),
  };
  expect(report).toEqual({
    version: expect.stringMatching(/^\d+\.\d+/),
    models: expect.arrayContaining([target.model]),
    retrieved: target.model,
    chat: {
      content: expect.stringContaining('Paris'),
      finish: expect.stringMatching(/^(stop|length)$/),
      usage,
    },
    stream: { content: report.chat.content, chunks: expect.any(Number), finish: report.chat.finish, usage },
    tool: { name: 'get_weather', arguments: { city: 'Paris' }, finish: 'tool_calls' },
    toolStream: { name: 'get_weather', arguments: { city: 'Paris' }, finish: 'tool_calls' },
    embeddings: { count: 3, dimensions: expect.any(Number), equal: true },
    structured: { city: expect.stringMatching(/^(Paris|Rome)$/) },
    refusals: {
      auth: { error: 'AuthenticationError', status: 401, code: 'invalid_api_key' },
      noModel: { error: 'NotFoundError', status: 404, code: 'model_not_found' },
      noSuchModel: { error: 'NotFoundError', status: 404, code: 'model_not_found' },
      // The engine's own refusals pass as they are, and have codes of its own, or none.
      badRequest: expect.objectContaining({ error: 'BadRequestError', status: 400 }),
      limited:
        target.limitedModel === null
          ? null
          : expect.objectContaining({ error: 'RateLimitError', status: 429 }),
    },
  });
  const { chat, stream, embeddings } = report;
  expect(chat.usage.total).toBe(chat.usage.prompt + chat.usage.completion);
  expect(stream.usage).toEqual(chat.usage);
  expect(stream.chunks).toBeGreaterThan(1);
  expect(embeddings.dimensions).toBeGreaterThan(1);
}
