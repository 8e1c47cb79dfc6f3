/** Holds JSON against TypeBox schemas, and against other JSON of the same shape. */
import { FormatRegistry, type TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { isRecord } from '../../src/lib/json';

if (!FormatRegistry.Has('date-time')) {
  FormatRegistry.Set('date-time', (text) => text === new Date(text).toISOString());
}

/** What is wrong with a value, as `path: message`; fields that the schema does not know are wrong too. */
export function problemsOf(schema: TSchema, value: unknown): string[] {
  const wrong = [...Value.Errors(schema, value)].map(({ path, message }) => `${path}: ${message}`);
  const known = Value.Clean(schema, structuredClone(value));
  return Bun.deepEquals(known, value) ? wrong : [...wrong, 'it has fields that the schema does not know'];
}

/** The keys and types of JSON, without its values: `{"a":"number","b":["string"]}`. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    const shapes = new Map(value.map((item) => [JSON.stringify(shapeOf(item)), shapeOf(item)]));
    return [...shapes.keys()].sort().map((text) => shapes.get(text));
  }
  if (isRecord(value)) return Object.fromEntries(Object.keys(value).map((key) => [key, shapeOf(value[key])]));
  return value === null ? 'null' : typeof value;
}
