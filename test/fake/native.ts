/**
 * /v1/responses and /v1/messages. Four engines speak them in four ways, so their recordings are the templates: keys,
 * order, events and chunks are the recorded ones, and only what differs from answer to answer is put in.
 */
import type { EngineView, NamedEvent, Outcome, Recipe, StreamChunk } from './answer';
import { asFields, asList, countPromptTokens, type Fields, type Speech, speak } from './generate';
import { listRecordings, readEvents, readRecording } from './golden';

export type NativeRoute = 'responses' | 'messages';

/** What a template is filled with. */
interface Filling {
  readonly fields: Fields;
  readonly speech: Speech;
  readonly text: string;
  readonly model: unknown;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly recipe: Recipe;
  /** Whether the recording ended for another reason than this answer does. */
  readonly borrowed: boolean;
}

/** Parts of a recorded stream: before the first word, one word, after the last. */
interface Template {
  readonly opening: readonly (readonly NamedEvent[])[];
  readonly delta: NamedEvent;
  /** Whether the first word shares its chunk with what comes before it. */
  readonly joined: boolean;
  /** Whether a tool's arguments came in one piece. */
  readonly pieces: number;
  readonly closing: readonly (readonly NamedEvent[])[];
}

/** Answers a request that the engine has not refused; `folder` is where its recordings are. */
export function answerNative(
  folder: string,
  route: NativeRoute,
  fields: Fields,
  model: unknown,
  view: EngineView,
  recipe: Recipe,
): Outcome {
  const streamed = fields.stream === true ? '-stream' : '';
  const names = listRecordings(folder);
  const asked = toChat(route, fields);
  // Nobody has seen some engines call a tool here: their fakes talk.
  const chat = names.includes(`${route}-tool${streamed}`) ? asked : { ...asked, tools: [] };
  const speech = speak(chat, view.tokens, recipe);
  const variant = speech.tool ? '-tool' : speech.finish === 'length' ? '-length' : '';
  const wanted = `${route}${variant}${streamed}`;
  const name = [wanted, `${route}${streamed}`, `${route}-length${streamed}`].find((each) =>
    names.includes(each),
  );
  if (name === undefined) throw new Error(`test/golden/${folder} has no ${wanted}.http`);
  const text = speech.tokens.join('');
  const promptTokens = countPromptTokens(chat);
  const cachedTokens = view.cachedTokens ?? 0;
  const borrowed = name !== wanted;
  const filling = { fields, speech, text, model, promptTokens, cachedTokens, recipe, borrowed };
  if (streamed) {
    const template = readTemplate(folder, name);
    return { type: 'stream', chunks: fillStream(template, filling, view.tokenDelayMs) };
  }
  const recorded = JSON.parse(readRecording(folder, name).answer.body.toString());
  const delayMs = view.tokenDelayMs * speech.tokens.length;
  return { type: 'json', body: fill(recorded, filling), delayMs };
}

/** The same request as a chat, which is what the model sees. */
export function toChat(route: NativeRoute, fields: Fields): Fields {
  const items = route === 'messages' ? fields.messages : fields.input;
  const told = route === 'messages' ? fields.system : fields.instructions;
  const messages =
    typeof items === 'string' ? [{ role: 'user', content: items }] : asList(items).map(toMessage);
  const tools = asList(fields.tools).map((tool) => {
    const { name, description, parameters, input_schema } = asFields(tool) ?? {};
    return { type: 'function', function: { name, description, parameters: parameters ?? input_schema } };
  });
  const format = asFields(asFields(fields.text)?.format);
  return {
    messages: told === undefined ? messages : [{ role: 'system', content: told }, ...messages],
    max_tokens: route === 'messages' ? fields.max_tokens : fields.max_output_tokens,
    ...(tools.length > 0 ? { tools } : {}),
    ...(format?.type === 'json_schema'
      ? { response_format: { type: 'json_schema', json_schema: format } }
      : {}),
    ...(asFields(fields.tool_choice)?.type === 'none' ? { tool_choice: 'none' } : {}),
  };
}

/** Results of tools are items of their own in one API, and parts of a user's message in the other. */
function toMessage(item: unknown): Fields {
  const message = asFields(item) ?? {};
  const parts = asList(message.content);
  const isResult = parts.some((part) => asFields(part)?.type === 'tool_result');
  if (message.type === 'function_call_output') return { role: 'tool', content: message.output };
  return isResult ? { role: 'tool', content: message.content } : message;
}

function readTemplate(folder: string, name: string): Template {
  const { answer } = readRecording(folder, name);
  // Recorded without its framing, each event is taken for a chunk.
  const groups =
    answer.chunks?.filter((chunk) => chunk.length > 0).map(readNamed) ??
    readNamed(answer.body).map((event) => [event]);
  const rows = groups.flatMap((group, chunk) => group.map((event) => ({ event, chunk })));
  const deltas = rows.filter(({ event }) => isDelta(event));
  const [first] = deltas;
  const last = deltas.at(-1);
  if (!first || !last) throw new Error(`${folder}/${name}.http has no words`);
  const before = rows.slice(0, rows.indexOf(first));
  const after = rows.slice(rows.indexOf(last) + 1);
  return {
    opening: regroup(before),
    delta: first.event,
    joined: before.at(-1)?.chunk === first.chunk,
    pieces: deltas.length,
    closing: regroup(after),
  };
}

function fillStream(template: Template, filling: Filling, tokenDelayMs: number): StreamChunk[] {
  const { speech, text, recipe } = filling;
  let number = 0;
  const say = (event: NamedEvent, words?: string): NamedEvent => {
    const value = asFields(fill(JSON.parse(event.data), filling)) ?? {};
    const spoken = words === undefined ? value : withWords(value, words);
    const numbered = 'sequence_number' in spoken ? { ...spoken, sequence_number: number } : spoken;
    number += 1;
    return { event: event.event, data: JSON.stringify(numbered) };
  };
  const opening = template.opening.map((group) => group.map((event) => say(event)));
  const words = speech.tool && template.pieces === 1 ? [text] : speech.tokens;
  const spoken = words.map((word) => say(template.delta, word));
  const shared = template.joined ? (opening.pop() ?? []) : [];
  const chunks = [
    ...opening.map((events) => ({ events, delayMs: 0 })),
    ...spoken.map((event, at) => ({
      events: at === 0 ? [...shared, event] : [event],
      delayMs: tokenDelayMs,
    })),
  ];
  if (recipe.finish === 'missing') return chunks;
  const closing = template.closing.map((group) => group.map((event) => say(event)));
  return [...chunks, ...closing.map((events) => ({ events, delayMs: 0 }))];
}

/** Copies a recorded value and puts in what is this answer's own. */
function fill(value: unknown, filling: Filling): unknown {
  if (Array.isArray(value)) return value.map((inner) => fill(inner, filling));
  const fields = asFields(value);
  if (!fields) return value;
  const entries = Object.entries(fields).map(([key, inner]) => [key, fillKey(key, inner, filling)]);
  const filled = Object.fromEntries(entries.filter(([, inner]) => inner !== undefined));
  return filling.borrowed ? finishAsWanted(filled, filling.speech) : filled;
}

/** Makes a recorded end of text one of a text cut off, and the other way round. */
function finishAsWanted(value: Record<string, unknown>, { finish }: Speech): Fields {
  if (typeof value.stop_reason === 'string') {
    return { ...value, stop_reason: finish === 'length' ? 'max_tokens' : 'end_turn' };
  }
  if (!('incomplete_details' in value) || value.status === 'in_progress') return value;
  return finish === 'length'
    ? { ...value, incomplete_details: { reason: 'max_output_tokens' }, status: 'incomplete' }
    : { ...value, incomplete_details: null, status: 'completed' };
}

function fillKey(key: unknown, value: unknown, filling: Filling): unknown {
  const { fields, speech, text, model, recipe } = filling;
  switch (key) {
    case 'model':
      return model;
    case 'text':
    case 'arguments':
      return typeof value === 'string' && value !== '' ? text : fill(value, filling);
    case 'name':
      return speech.tool?.name ?? value;
    case 'input':
      return Object.keys(asFields(value) ?? {}).length > 0 ? JSON.parse(text) : value;
    case 'tools':
      return echoTools(value, fields);
    case 'usage':
      return recipe.usage === 'never' ? undefined : fillUsage(value, filling);
    case 'timings':
      return recipe.usage === 'never' ? undefined : fillTimings(value, filling);
    case 'max_output_tokens':
      return fields.max_output_tokens ?? null;
    case 'temperature':
    case 'instructions':
      return fields[key] ?? value;
    default:
      return fill(value, filling);
  }
}

/** In /v1/messages llama.cpp leaves cached tokens out of `input_tokens`; nobody else does, and nowhere else. */
function fillUsage(value: unknown, filling: Filling): unknown {
  const usage = asFields(value);
  if (!usage) return value;
  const { promptTokens, speech } = filling;
  const details = asFields(usage.input_tokens_details);
  const cached = filling.cachedTokens;
  const numbers: Record<string, unknown> = {
    input_tokens: 'cache_read_input_tokens' in usage ? promptTokens - cached : promptTokens,
    cache_read_input_tokens: cached,
    // A stream's first count is always 0.
    output_tokens: usage.output_tokens === 0 ? 0 : speech.completionTokens,
    total_tokens: promptTokens + speech.completionTokens,
    input_tokens_details: { ...details, cached_tokens: cached },
  };
  return Object.fromEntries(Object.entries(usage).map(([key, old]) => [key, numbers[key] ?? old]));
}

function fillTimings(value: unknown, filling: Filling): unknown {
  const timings = asFields(value) ?? {};
  const { promptTokens, speech, cachedTokens: cached } = filling;
  return {
    ...timings,
    cache_n: cached,
    prompt_n: promptTokens - cached,
    predicted_n: speech.completionTokens,
  };
}

/** The request's tools with the keys that the engine shows. */
function echoTools(recorded: unknown, fields: Fields): unknown {
  const shown = asFields(asList(recorded)[0]);
  if (!shown) return recorded;
  return asList(fields.tools).map((tool) =>
    Object.fromEntries(
      Object.entries(shown).map(([key, old]) => [key, sortKeys(asFields(tool)?.[key] ?? old)]),
    ),
  );
}

/** Ollama, the only one that shows the tools again, has them in Go's maps, which are written in order. */
function sortKeys(value: unknown): unknown {
  const fields = asFields(value);
  if (!fields) return value;
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([key, inner]) => [key, sortKeys(inner)]));
}

function withWords(event: Fields, words: string): Fields {
  if (typeof event.delta === 'string') return { ...event, delta: words };
  const delta = Object.entries(asFields(event.delta) ?? {});
  return {
    ...event,
    delta: Object.fromEntries(delta.map(([key, old]) => [key, key === 'type' ? old : words])),
  };
}

function readNamed(bytes: Buffer): NamedEvent[] {
  return readEvents(bytes).map((text) => {
    const [, event = '', data = ''] = /^event: (.*)\r?\ndata: (.*)$/s.exec(text) ?? [];
    return { event, data };
  });
}

function isDelta({ event }: NamedEvent): boolean {
  return /^(content_block_delta|response\..*\.delta)$/.test(event);
}

function regroup(rows: readonly { event: NamedEvent; chunk: number }[]): NamedEvent[][] {
  const groups: NamedEvent[][] = [];
  for (const [at, { event, chunk }] of rows.entries()) {
    if (rows[at - 1]?.chunk === chunk) groups.at(-1)?.push(event);
    else groups.push([event]);
  }
  return groups;
}
