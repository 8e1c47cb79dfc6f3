/** Each dialect against bodies that real engines sent: token counts, how far an answer has come, errors, and its end. */
import { describe, expect, test } from 'bun:test';
import { readRecording } from '../../../test/fake/golden';
import type { InferenceRoute, Usage } from '../../contract';
import { FlmError } from '../../lib/errors';
import { eventsIn } from '../../lib/sse';
import { EventReader, kindOf } from '../event-reader';
import { DIALECTS, type Dialect, errorBodyAt, type Fault } from '.';

const CHAT = '/v1/chat/completions';
const RESPONSES = '/v1/responses';
const MESSAGES = '/v1/messages';

/** prompt, completion, cached, reasoning */
type Counts = readonly [number, number, number | null, number | null];

function usage(counts: Counts | null): Usage | null {
  if (counts === null) return null;
  const [promptTokens, completionTokens, cachedTokens, reasoningTokens] = counts;
  return { promptTokens, completionTokens, cachedTokens, reasoningTokens };
}

function streamUsage(dialect: Dialect, body: Uint8Array): Usage | null {
  const reader = new EventReader(dialect);
  for (const event of eventsIn(body)) reader.see(event);
  return reader.usage;
}

const text = (events: readonly object[]): Buffer =>
  Buffer.from(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));

describe('token counts', () => {
  const RECORDED: readonly (readonly [folder: string, name: string, InferenceRoute, Counts | null])[] = [
    ['llamacpp', 'chat', CHAT, [32, 8, 0, null]],
    ['llamacpp', 'completion', '/v1/completions', [5, 5, 0, null]],
    ['llamacpp', 'embeddings-many', '/v1/embeddings', [3, 0, null, null]],
    ['llamacpp', 'rerank', '/v1/rerank', [15, 0, null, null]],
    ['llamacpp', 'responses', RESPONSES, [32, 8, 0, null]],
    ['llamacpp', 'responses-tool', RESPONSES, [207, 31, 0, null]],
    ['llamacpp', 'messages', MESSAGES, [32, 8, 31, null]],
    ['llamacpp', 'messages-count-tokens', '/v1/messages/count_tokens', null],
    ['llamacpp', 'error-no-messages', CHAT, null],
    ['ollama', 'chat', CHAT, [16, 8, null, null]],
    ['ollama', 'responses', RESPONSES, [16, 8, 0, 0]],
    ['ollama', 'messages', MESSAGES, [16, 8, null, null]],
    ['ollama', 'error-messages-no-messages', MESSAGES, null],
    ['openai', 'chat', CHAT, [32, 8, null, null]],
    ['openai', 'tool-call', CHAT, [218, 43, null, null]],
  ];
  test.each(RECORDED)('%s: %s', (folder, name, route, counts) => {
    const { body } = readRecording(folder, name).answer;
    expect(DIALECTS[route].usageOfAnswer(body)).toEqual(usage(counts));
  });

  const STREAMED: readonly (readonly [folder: string, name: string, InferenceRoute, Counts | null])[] = [
    // Nothing but timings.
    ['llamacpp', 'chat-stream', CHAT, [32, 8, 31, null]],
    ['llamacpp', 'chat-stream-timings-per-token', CHAT, [32, 3, 31, null]],
    ['llamacpp', 'chat-stream-usage', CHAT, [32, 8, 31, null]],
    ['llamacpp', 'responses-stream', RESPONSES, [32, 8, 31, null]],
    ['llamacpp', 'messages-stream', MESSAGES, [32, 8, 31, null]],
    ['llamacpp', 'messages-tool-stream', MESSAGES, [207, 31, 206, null]],
    ['ollama', 'chat-stream', CHAT, null],
    ['ollama', 'chat-stream-usage', CHAT, [16, 8, null, null]],
    ['ollama', 'responses-stream', RESPONSES, [16, 8, 0, 0]],
    // Its first event guesses 8, its last knows 16.
    ['ollama', 'messages-stream', MESSAGES, [16, 8, null, null]],
    ['openai', 'chat-stream', CHAT, null],
    ['openai', 'chat-stream-usage', CHAT, [32, 8, null, null]],
    // In every chunk, cumulative.
    ['openai', 'chat-stream-usage-continuous', CHAT, [32, 4, null, null]],
  ];
  test.each(STREAMED)('%s, streamed: %s', (folder, name, route, counts) => {
    const { body } = readRecording(folder, name).answer;
    expect(streamUsage(DIALECTS[route], body)).toEqual(usage(counts));
  });

  const WRITTEN: readonly (readonly [name: string, InferenceRoute, object, Counts | null])[] = [
    [
      'cached and thought (OpenAI)',
      CHAT,
      {
        usage: {
          prompt_tokens: 9,
          completion_tokens: 7,
          prompt_tokens_details: { cached_tokens: 4 },
          completion_tokens_details: { reasoning_tokens: 3 },
        },
      },
      [9, 7, 4, 3],
    ],
    [
      'the same in the Responses API, behind tools that have a parameter of that name',
      RESPONSES,
      {
        usage: {
          input_tokens: 9,
          output_tokens: 7,
          input_tokens_details: { cached_tokens: 4 },
          output_tokens_details: { reasoning_tokens: 3 },
        },
        tools: [{ type: 'function', parameters: { properties: { usage: { type: 'object' } } } }],
      },
      [9, 7, 4, 3],
    ],
    [
      'input_tokens that leave out what was cached (Anthropic)',
      MESSAGES,
      {
        usage: {
          input_tokens: 1,
          cache_read_input_tokens: 20,
          cache_creation_input_tokens: 300,
          output_tokens: 5,
        },
      },
      [321, 5, 20, null],
    ],
    [
      'a tool call that looks like counts',
      MESSAGES,
      {
        usage: { input_tokens: 9, output_tokens: 7 },
        content: [{ type: 'tool_use', input: { usage: { input_tokens: 0, output_tokens: 0 } } }],
      },
      [9, 7, null, null],
    ],
    [
      'nothing but the total (vLLM rerank)',
      '/v1/rerank',
      { usage: { total_tokens: 42 } },
      [42, 0, null, null],
    ],
    [
      'meta.tokens (Cohere)',
      '/v1/rerank',
      { meta: { tokens: { input_tokens: 42, output_tokens: 0 } } },
      [42, 0, null, null],
    ],
    ['meta.billed_units', '/v1/rerank', { meta: { billed_units: { total_tokens: 9 } } }, [9, 0, null, null]],
    ['a meta without tokens', '/v1/rerank', { meta: { billed_units: { search_units: 1 } } }, null],
    ...[
      [{ 5: { decoded_token: 'usage' } }],
      ['usage', ':', 'usage', {}],
      { usage: -0.5, x: { usage: null } },
      { usage: { logprob: -1 } },
      Array.from({ length: 1_000 }, () => 'usage'),
    ].map(
      (prompt_logprobs) =>
        [
          'tokens behind it that say so: nobody chooses to be unmetered',
          CHAT,
          { usage: { prompt_tokens: 3, completion_tokens: 2 }, prompt_logprobs },
          [3, 2, null, null],
        ] as const,
    ),
    ['null', CHAT, { usage: null }, null],
    ['no number', CHAT, { usage: { prompt_tokens: '3', completion_tokens: -1 } }, null],
    ['count_tokens: an answer, no consumption', '/v1/messages/count_tokens', { input_tokens: 32 }, null],
  ];
  test.each(WRITTEN)('%s', (_, route, answer, counts) => {
    expect(DIALECTS[route].usageOfAnswer(Buffer.from(JSON.stringify(answer)))).toEqual(usage(counts));
  });

  test('what is no JSON has none', () => {
    for (const dialect of Object.values(DIALECTS)) {
      for (const body of ['', '<html>', '[]', '"usage"', '{"usage":']) {
        expect(dialect.usageOfAnswer(Buffer.from(body))).toBeNull();
      }
    }
  });

  test('messages: a delta that repeats the input without its cached part keeps that part', () => {
    const events = [
      { type: 'message_start', message: { usage: { input_tokens: 1, cache_read_input_tokens: 31 } } },
      { type: 'message_delta', usage: { input_tokens: 1, output_tokens: 4 } },
      { type: 'message_delta', usage: { output_tokens: 9 } },
    ];
    expect(streamUsage(DIALECTS[MESSAGES], text(events))).toEqual(usage([32, 9, 31, null]));
  });

  test('responses: a failed answer has cost what it says', () => {
    const event = {
      type: 'response.failed',
      response: { error: { code: 'server_error' }, usage: { input_tokens: 3, output_tokens: 2 } },
    };
    expect(streamUsage(DIALECTS[RESPONSES], text([event]))).toEqual(usage([3, 2, null, null]));
  });
});

describe('how far an answer has come', () => {
  /** One letter per event: opening, progress, content; openings are what another engine would have said too. */
  const KINDS: readonly (readonly [folder: string, name: string, InferenceRoute, kinds: RegExp])[] = [
    ['llamacpp', 'chat-stream', CHAT, /^oc+$/],
    ['llamacpp', 'chat-stream-progress', CHAT, /^ppoc+$/],
    ['llamacpp', 'completion-stream', '/v1/completions', /^c+$/],
    ['llamacpp', 'ping', CHAT, /^o+c+$/],
    ['llamacpp', 'responses-stream', RESPONSES, /^o{4}c+$/],
    ['llamacpp', 'responses-tool-stream', RESPONSES, /^o{2}c+$/],
    ['llamacpp', 'messages-stream', MESSAGES, /^o{2}c+$/],
    ['llamacpp', 'messages-tool-stream', MESSAGES, /^oc+$/],
    ['ollama', 'chat-stream', CHAT, /^c+$/],
    ['ollama', 'responses-stream', RESPONSES, /^o{4}c+$/],
    ['ollama', 'messages-stream', MESSAGES, /^o{2}c+$/],
    ['openai', 'chat-stream', CHAT, /^oc+$/],
    ['openai', 'tool-call-stream-usage', CHAT, /^oc+oc$/],
  ];
  test.each(KINDS)('%s: %s', (folder, name, route, kinds) => {
    const events = [...eventsIn(readRecording(folder, name).answer.body)];
    expect(events.map((event) => kindOf(event, DIALECTS[route]).charAt(0)).join('')).toMatch(kinds);
  });

  test.each(KINDS)('%s: %s ends with its last event, and not before', (folder, name, route) => {
    const dialect = DIALECTS[route];
    const events = [...eventsIn(readRecording(folder, name).answer.body)];
    expect(events.map((event) => dialect.isComplete(event)).lastIndexOf(true)).toBe(events.length - 1);
    expect(events.map((event) => dialect.isComplete(event)).indexOf(true)).toBe(events.length - 1);
    // A finish_reason may come before the usage and [DONE].
    const finished = events.map((event) => dialect.isFinished(event)).indexOf(true);
    expect(finished).toBeGreaterThanOrEqual(Math.max(1, events.length - 3));
  });

  test('what is no JSON, or nothing known, is for the client to judge', () => {
    for (const data of ['NaN', '[]', '{"type":"response.made_up"}', '{"hello":1}']) {
      for (const dialect of Object.values(DIALECTS)) {
        expect(kindOf(Buffer.from(`data: ${data}\n\n`), dialect)).toBe('content');
      }
    }
  });

  test('an end in the words of the model is none', () => {
    const said = 'message_stop response.completed [DONE]';
    const events = text([
      { choices: [{ delta: { content: said }, finish_reason: null }] },
      { type: 'response.output_text.delta', delta: said },
      { type: 'content_block_delta', delta: { text: said } },
    ]);
    for (const dialect of Object.values(DIALECTS)) {
      expect([dialect.isComplete(events), dialect.isFinished(events)]).toEqual([false, false]);
    }
  });
});

describe('errors inside a stream', () => {
  const FAULTS: readonly (readonly [InferenceRoute, event: object, Fault | null])[] = [
    [CHAT, { error: { message: 'busy', type: 'Service Unavailable', code: 503 } }, 'engine'],
    [CHAT, { error: { message: 'no' } }, 'engine'],
    [CHAT, { error: 'Unauthorized' }, 'engine'],
    [CHAT, { error: { message: 'too long', type: 'BadRequestError', code: 400 } }, 'request'],
    [CHAT, { error: { message: 'too many', code: '429' } }, 'busy'],
    [CHAT, { error: { message: 'x', type: 'invalid_request_error', code: null } }, 'request'],
    [CHAT, { object: 'error', message: 'too long', code: 400 }, 'request'],
    [CHAT, { error: null, choices: [] }, null],
    [CHAT, { choices: [{ delta: { content: '"error"' } }] }, null],
    [RESPONSES, { type: 'error', code: 'server_error', message: 'x' }, 'engine'],
    [RESPONSES, { type: 'error', code: 'rate_limit_exceeded', message: 'x' }, 'busy'],
    [RESPONSES, { error: { message: 'x', code: 500 } }, 'engine'],
    [RESPONSES, { type: 'response.failed', response: { error: { code: 'server_error' } } }, 'engine'],
    [RESPONSES, { type: 'response.failed', response: { error: { code: 'invalid_prompt' } } }, 'request'],
    [RESPONSES, { type: 'response.failed' }, 'engine'],
    [RESPONSES, { type: 'response.created', response: { error: null, usage: null } }, null],
    [MESSAGES, { type: 'error', error: { type: 'overloaded_error', message: 'x' } }, 'engine'],
    [MESSAGES, { type: 'error', error: { type: 'rate_limit_error', message: 'x' } }, 'busy'],
    [MESSAGES, { type: 'error', error: { type: 'invalid_request_error', message: 'x' } }, 'request'],
    [MESSAGES, { error: { message: 'x', code: 500 } }, 'engine'],
    [MESSAGES, { type: 'content_block_delta', delta: { text: '"error"' } }, null],
  ];
  test.each(FAULTS)('%s %j: %p', (route, event, fault) => {
    const reader = new EventReader(DIALECTS[route]);
    const events = text([event]);
    const behind = Buffer.from('data: [DONE]\n\n');
    const end = reader.see(Buffer.concat([events, behind]));
    expect(reader.fault).toBe(fault);
    // What follows an error is left out.
    expect(end).toBe(fault === null ? events.length + behind.length : events.length);
  });

  const ERROR = new FlmError('ENGINE_NETWORK_ERROR', { meta: { engine: 'one', reason: 'it died' } });
  const MESSAGE =
    'The engine "one" cannot be reached: it died. Is it running? "flm engines list" shows what FLM sees.';
  const OPENAI = {
    message: MESSAGE,
    type: 'server_error',
    param: null,
    code: 'network_error',
    request_id: 'id-1',
  };

  function told(route: InferenceRoute, sent = ''): string {
    return Buffer.from(DIALECTS[route].errorEvent(ERROR, 'id-1', Buffer.from(sent))).toString();
  }

  test('of FLM: in the words of each API', () => {
    expect(told(CHAT)).toBe(`data: ${JSON.stringify({ error: OPENAI })}\n\n`);
    const { code, message, param } = OPENAI;
    expect(told(RESPONSES, 'data: {"sequence_number":6}\n\ndata: {"sequence_number": 7,"x":1}\n\n')).toBe(
      `event: error\ndata: ${JSON.stringify({ type: 'error', sequence_number: 8, code, message, param, error: OPENAI })}\n\n`,
    );
    expect(told(RESPONSES)).toContain('"sequence_number":0,');
    expect(told(MESSAGES)).toBe(
      `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'api_error', message: MESSAGE }, request_id: 'id-1' })}\n\n`,
    );
  });

  test('pings: a comment, or the event that Anthropic has for it', () => {
    expect(Buffer.from(DIALECTS[CHAT].ping).toString()).toBe(': ping\n\n');
    expect(Buffer.from(DIALECTS[RESPONSES].ping).toString()).toBe(': ping\n\n');
    expect(Buffer.from(DIALECTS[MESSAGES].ping).toString()).toBe('event: ping\ndata: {"type": "ping"}\n\n');
  });
});

test('errors before a stream: Anthropic has types of its own', () => {
  const TYPES = [
    ['INVALID_JSON', 'invalid_request_error'],
    ['INVALID_API_KEY', 'authentication_error'],
    ['MODEL_NOT_ALLOWED', 'permission_error'],
    ['MODEL_NOT_FOUND', 'not_found_error'],
    ['METHOD_NOT_ALLOWED', 'invalid_request_error'],
    ['REQUEST_TIMEOUT', 'timeout_error'],
    ['PAYLOAD_TOO_LARGE', 'request_too_large'],
    ['QUEUE_FULL', 'rate_limit_error'],
    ['INTERNAL_ERROR', 'api_error'],
    ['ENGINE_NETWORK_ERROR', 'api_error'],
    ['ENGINE_UNAVAILABLE', 'overloaded_error'],
  ] as const;
  for (const [code, type] of TYPES) {
    const error = new FlmError(code);
    const message = error.hint === null ? error.message : `${error.message} ${error.hint}`;
    for (const path of [MESSAGES, '/v1/messages/count_tokens', '/v1/messages/batches']) {
      expect(errorBodyAt(path)(error, 'id-1')).toEqual({
        type: 'error',
        error: { type, message },
        request_id: 'id-1',
      });
    }
    for (const path of [CHAT, RESPONSES, '/v1/messagesx', '/', '/v1/rerank']) {
      expect(errorBodyAt(path)(error, 'id-1')).toHaveProperty('error.request_id', 'id-1');
    }
  }
});
