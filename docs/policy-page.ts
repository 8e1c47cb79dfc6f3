/** The table of all keys of the security policy, made of its JSON Schema. */
import { isRecord } from '../src/lib/json';
import { POLICY_SCHEMA } from '../src/policy';

type Schema = Readonly<Record<string, unknown>>;

/** The text of docs/policy-keys.md. */
export function policyKeysPage(made: string): string {
  return `${made}

# Keys of the security policy

All of them may be left out. How they are used is in [policy.md](policy.md); the JSON Schema is
[security-policy.schema.json](security-policy.schema.json).

| Key | Takes | Default | For |
|---|---|---|---|
${rowsOf(POLICY_SCHEMA, '').join('\n')}
`;
}

function rowsOf(schema: Schema, prefix: string): string[] {
  const properties = isRecord(schema.properties) ? schema.properties : {};
  return Object.entries(properties).flatMap(([key, inner]) => {
    if (!isRecord(inner)) return [];
    const name = `${prefix}${key}`;
    const { description, default: fallback } = inner;
    const shown = fallback === undefined ? '' : `\`${JSON.stringify(fallback)}\``;
    const row = `| \`${name}\` | ${takes(inner)} | ${shown} | ${cell(String(description ?? ''))} |`;
    return [row, ...rowsOf(inner, `${name}.`)];
  });
}

function takes(schema: Schema): string {
  const { type, minimum, maximum, maxItems } = schema;
  if (Array.isArray(schema.enum)) return schema.enum.map((word) => `\`${String(word)}\``).join(', ');
  if (type === 'array')
    return `a list of texts${typeof maxItems === 'number' ? `, at most ${maxItems}` : ''}`;
  if (type === 'integer') return `${String(minimum)} to ${String(maximum)}`;
  if (type === 'boolean') return 'true or false';
  if (type === 'object')
    return schema.additionalProperties === false ? 'an object, with no other keys' : 'an object';
  return 'a text';
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
