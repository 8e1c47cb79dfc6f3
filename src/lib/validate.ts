/** Holds input against its schema where no HTTP framework does: the same words, wherever a wrong value is found. */
import type { Static, TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { FlmError } from './errors';
import { isRecord } from './json';

/** The input itself, when it is what the schema says. @throws INVALID_INPUT naming the first field that is not. */
export function requireValid<Schema extends TSchema>(schema: Schema, input: Static<Schema>): Static<Schema> {
  const wrong = Value.Errors(schema, input).First();
  if (wrong === undefined) return input;
  throw invalidField(wrong);
}

/** What TypeBox says of a wrong value. */
interface Wrong {
  /** A JSON pointer into the input. */
  readonly path: string;
  readonly message: string;
  readonly schema?: unknown;
}

export function invalidField({ path, message, schema }: Wrong): FlmError {
  const field = path === '' ? 'body' : path.slice(1).replaceAll('/', '.');
  return new FlmError('INVALID_INPUT', { meta: { field, reason: reasonFor(message, schema) } });
}

/** TypeBox's messages that people meet, in words for them; a number's range is said whole. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/^Expected string length greater or equal to 1$/, 'it is empty'],
  [/^Expected string length greater or equal to (\d+)$/, 'it takes at least $1 characters'],
  [/^Expected string length less or equal to (\d+)$/, 'it takes at most $1 characters'],
  [/^Expected array length to be greater or equal to 1$/, 'it is empty'],
  [/^Expected array length to be less or equal to (\d+)$/, 'it takes at most $1 entries'],
  [/^Expected array elements to be unique$/, 'it holds something twice'],
  [/^Expected required property$/, 'it is missing'],
  [/^Unexpected property$/, 'there is no such field'],
  [/^Expected integer\b.*/, 'it takes a whole number'],
  [/^Expected string$/, 'it takes a text'],
];

function reasonFor(message: string, schema: unknown): string {
  const [pattern, words] = WORDS.find(([known]) => known.test(message)) ?? [];
  if (pattern === undefined || words === undefined) return message.charAt(0).toLowerCase() + message.slice(1);
  return message.replace(pattern, words) + (message.startsWith('Expected integer') ? rangeOf(schema) : '');
}

function rangeOf(schema: unknown): string {
  const { minimum, maximum } = isRecord(schema) ? schema : {};
  return typeof minimum === 'number' && typeof maximum === 'number' ? ` from ${minimum} to ${maximum}` : '';
}
