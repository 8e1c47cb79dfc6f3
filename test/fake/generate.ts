/**
 * What a fake model says: the same for the same request, always. Reads the request's parameters, and makes
 * tokens, tool calls, JSON and vectors; how they are written down belongs to the dialects.
 */
import type { Recipe } from './answer';

export type Fields = Readonly<Record<string, unknown>>;

export interface Speech {
  /** Text, or the JSON arguments of the tool call, in pieces. */
  readonly tokens: readonly string[];
  readonly tool: { readonly name: string } | null;
  readonly finish: 'stop' | 'length' | 'tool_calls';
  /** As the engines count: the end-of-text token, which nobody sees, is one more. */
  readonly completionTokens: number;
}

const SENTENCE = ['The', ' capital', ' of', ' France', ' is', ' Paris', '.'];
const MULTIBYTE = ['Grüße', ' aus', ' 日本語', ' 🦙🎉', ' naïve', ' Ελλάδα', ' 👩‍👩‍👧'];

/** A plain object, or null for anything else. */
export function asFields(value: unknown): Fields | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : null;
}

/** An array, or an empty one for anything else. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Says what the request asks for: a tool call, JSON for a schema, or sentences, up to the token limit. */
export function speak(fields: Fields, tokens: number, recipe: Recipe): Speech {
  const tool = findTool(fields);
  const schema = findSchema(fields);
  const limit = readLimit(fields);
  if (tool) {
    const pieces = splitJson(JSON.stringify(sample(tool.parameters)));
    // A cut-off call is not a call; engines finish it as text, fakes always have room for it.
    return { tokens: pieces, tool, finish: 'tool_calls', completionTokens: pieces.length + 1 };
  }
  const all = schema ? splitJson(JSON.stringify(sample(schema))) : makeText(fields, tokens, limit, recipe);
  if (limit !== null && limit <= all.length) {
    return { tokens: all.slice(0, limit), tool: null, finish: 'length', completionTokens: limit };
  }
  return { tokens: all, tool: null, finish: 'stop', completionTokens: all.length + 1 };
}

/** How many tokens the prompt has: its words, and what the chat template adds. */
export function countPromptTokens(fields: Fields): number {
  if (Array.isArray(fields.messages)) {
    const texts = fields.messages.map((message) => readText(asFields(message)?.content));
    return 26 + texts.reduce((sum, text) => sum + countWords(text), 0);
  }
  const input = fields.prompt ?? fields.input;
  return asTexts(input).reduce((sum, text) => sum + countWords(text), 0);
}

/** A prompt or input as a list: a string is one, an array of numbers is one, anything else is none. */
export function asTexts(input: unknown): string[] {
  if (typeof input === 'string') return [input];
  if (!Array.isArray(input)) return [];
  if (input.every((part) => typeof part === 'number')) return input.length > 0 ? [input.join(' ')] : [];
  return input.map((part) => (typeof part === 'string' ? part : asList(part).join(' ')));
}

/** A unit-free vector that depends on the text alone. */
export function embed(text: string, dimensions = 8): number[] {
  let seed = 2166136261;
  for (const byte of Buffer.from(text)) seed = Math.imul(seed ^ byte, 16777619) >>> 0;
  return Array.from({ length: dimensions }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  });
}

/** A vector as engines send it for `encoding_format: base64`: little-endian 32-bit floats. */
export function toBase64(vector: readonly number[]): string {
  return Buffer.from(new Float32Array(vector).buffer).toString('base64');
}

/** Whether any message carries an image. */
export function hasImage(fields: Fields): boolean {
  const parts = asList(fields.messages).flatMap((message) => asList(asFields(message)?.content));
  return parts.some((part) => asFields(part)?.type === 'image_url');
}

function makeText(fields: Fields, tokens: number, limit: number | null, recipe: Recipe): string[] {
  if (typeof recipe.text === 'object') return ['x'.repeat(recipe.text.hugeBytes)];
  const words = recipe.text === 'multibyte' ? MULTIBYTE : SENTENCE;
  const count = fields.ignore_eos === true && limit !== null ? limit : tokens;
  return Array.from({ length: count }, (_, index) => {
    const word = words[index % words.length] ?? '';
    return index > 0 && index % words.length === 0 ? ` ${word}` : word;
  });
}

function readLimit(fields: Fields): number | null {
  const limit = fields.max_tokens ?? fields.max_completion_tokens;
  if (typeof limit !== 'number' || limit < 0) return null;
  // llama.cpp answers one token when asked for none.
  return Math.max(1, Math.floor(limit));
}

function findTool(fields: Fields): { name: string; parameters: unknown } | null {
  const choice = fields.tool_choice;
  const last = asFields(asList(fields.messages).at(-1));
  // A model that has been given the tool's result talks about it.
  if (choice === 'none' || last?.role === 'tool') return null;
  const functions = asList(fields.tools).map((tool) => asFields(asFields(tool)?.function));
  const wanted = asFields(asFields(choice)?.function)?.name;
  const found = functions.find((each) => wanted === undefined || each?.name === wanted);
  const name = found?.name;
  return typeof name === 'string' ? { name, parameters: found?.parameters } : null;
}

function findSchema(fields: Fields): unknown {
  const format = asFields(fields.response_format);
  if (format?.type === 'json_object') return { type: 'object', properties: { ok: { type: 'boolean' } } };
  return format?.type === 'json_schema' ? asFields(format.json_schema)?.schema : undefined;
}

/** A value that a JSON schema allows, the same one every time; knows the keywords that tests use. */
function sample(schema: unknown, name = ''): unknown {
  const fields = asFields(schema) ?? {};
  const choices = asList(fields.enum);
  if (choices.length > 0) return choices[0];
  switch (fields.type) {
    case 'string':
      return name === 'city' ? 'Paris' : 'text';
    case 'integer':
    case 'number':
      return 1;
    case 'boolean':
      return true;
    case 'null':
      return null;
    case 'array':
      return [sample(fields.items, name)];
    default: {
      const properties = Object.entries(asFields(fields.properties) ?? {});
      return Object.fromEntries(properties.map(([key, inner]) => [key, sample(inner, key)]));
    }
  }
}

/** The pieces in which a model writes JSON: brackets, quotes and words. */
function splitJson(json: string): string[] {
  return json.match(/^\{|[{}[\]]|"?[:,]"?|"|[^"{}[\]:,]+/g) ?? [];
}

function readText(content: unknown): string {
  if (typeof content === 'string') return content;
  const texts = asList(content).map((part) => asFields(part)?.text);
  return texts.filter((text) => typeof text === 'string').join(' ');
}

function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => word !== '').length;
}
