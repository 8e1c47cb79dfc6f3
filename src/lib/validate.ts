/** Holds input against its schema where no HTTP framework does: the same words, wherever a wrong value is found. */
import type { Static, TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { FlmError } from './errors';

/** The input itself, when it is what the schema says. @throws INVALID_INPUT naming the first field that is not. */
export function requireValid<Schema extends TSchema>(schema: Schema, input: Static<Schema>): Static<Schema> {
  const wrong = Value.Errors(schema, input).First();
  if (wrong === undefined) return input;
  throw invalidField(wrong.path, wrong.message);
}

/** `path` is a JSON pointer into the input, `message` what TypeBox says of it. */
export function invalidField(path: string, message: string): FlmError {
  const field = path === '' ? 'body' : path.slice(1).replaceAll('/', '.');
  const reason = message.charAt(0).toLowerCase() + message.slice(1);
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
