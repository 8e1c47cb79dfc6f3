/** The typed client, made of the OpenAPI document: a function for each operation that answers JSON. */
import { isRecord } from '../src/lib/json';

type Json = Record<string, unknown>;

/** The text of src/admin/client.gen.ts. */
export function clientPage(document: Json): string {
  const operations = operationsIn(document);
  return `/* Made by "bun run docs" from the OpenAPI document (docs/openapi.json). Do not edit. */

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** What an operation is called with: values for the path, the query, and the body. */
export interface Input {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** Carries an operation over, and resolves with the JSON of the answer. */
export type Send = <Result>(method: Method, path: string, input: Input) => Promise<Result>;

interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

${operations.flatMap(typesOf).join('\n\n')}

/** Every operation of the admin API. */
export function operationsOver(send: Send) {
  return {
${operations.map(functionOf).join('\n')}
  };
}
`;
}

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly about: string;
  readonly params: readonly Parameter[];
  readonly query: readonly Parameter[];
  /** Null where it takes none. */
  readonly body: unknown;
  readonly result: unknown;
}

interface Parameter {
  readonly name: string;
  readonly required: boolean;
  readonly schema: unknown;
}

function operationsIn({ paths }: Json): Operation[] {
  return entriesOf(paths)
    .flatMap(([path, methods]) =>
      entriesOf(methods).map(([method, operation]) =>
        operationOf(path, method, isRecord(operation) ? operation : {}),
      ),
    )
    .filter(({ result }) => result !== null);
}

function operationOf(path: string, method: string, operation: Json): Operation {
  const parameters = Array.isArray(operation.parameters) ? operation.parameters.filter(isRecord) : [];
  const having = (place: string) =>
    parameters
      .filter((parameter) => parameter.in === place)
      .map(({ name, required, schema }) => ({ name: String(name), required: required === true, schema }));
  return {
    // What has no name of its own is called by method and path, which may hold a dash.
    id: String(operation.operationId).replace(/\W+(\w)/g, (_, letter: string) => letter.toUpperCase()),
    method: method.toUpperCase(),
    path,
    about: `${String(operation.summary)}. ${String(operation.description)}`,
    params: having('path'),
    query: having('query'),
    body: jsonSchemaOf(operation.requestBody),
    result: jsonSchemaOf(isRecord(operation.responses) ? operation.responses['200'] : null),
  };
}

/** The schema of what it holds as JSON and nothing else, or null: streams and files have none. */
function jsonSchemaOf(holder: unknown): unknown {
  const content = isRecord(holder) && isRecord(holder.content) ? holder.content : {};
  const json = content['application/json'];
  return isRecord(json) && Object.keys(content).length === 1 ? json.schema : null;
}

function typesOf({ id, body, query, result }: Operation): string[] {
  const name = id.charAt(0).toUpperCase() + id.slice(1);
  return [
    ...(query.length === 0 ? [] : [`export type ${name}Query = ${fieldsOf(query)};`]),
    ...(body === null ? [] : [`export type ${name}Body = ${typeOf(body)};`]),
    `export type ${name}Result = ${typeOf(result)};`,
  ];
}

function functionOf({ id, method, path, about, params, query, body }: Operation): string {
  const name = id.charAt(0).toUpperCase() + id.slice(1);
  const parts = [
    ...(params.length === 0 ? [] : [`params: ${fieldsOf(params)}`]),
    ...(query.length === 0
      ? []
      : [`query${query.some(({ required }) => required) ? '' : '?'}: ${name}Query`]),
    ...(body === null ? [] : [`body: ${name}Body`]),
  ];
  const isNeeded = parts.some((part) => !part.startsWith('query?'));
  const type = parts.length === 0 ? 'Cancellable' : `{ ${parts.join('; ')} } & Cancellable`;
  return `    /** ${about} */
    ${id}: (input: ${type}${isNeeded ? '' : ' = {}'}) => send<${name}Result>('${method}', '${path}', input),`;
}

function fieldsOf(parameters: readonly Parameter[]): string {
  const fields = parameters.map(
    ({ name, required, schema }) =>
      `${keyOf(name)}${required ? '' : '?'}: ${typeOf(schema)}${required ? '' : ' | undefined'}`,
  );
  return `{ ${fields.join('; ')} }`;
}

/** A JSON Schema as a type. What it does not know is unknown, which no caller can use by mistake. */
function typeOf(schema: unknown): string {
  if (!isRecord(schema)) return 'unknown';
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((word) => JSON.stringify(word)).join(' | ');
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) return [...new Set(choices.map(typeOf))].join(' | ');
  switch (schema.type) {
    case 'object':
      return objectType(schema);
    case 'array':
      return `(${typeOf(schema.items)})[]`;
    case 'integer':
    case 'number':
      return 'number';
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    default:
      return 'unknown';
  }
}

function objectType({ properties, required, additionalProperties, patternProperties }: Json): string {
  const needed = Array.isArray(required) ? required : [];
  const fields = entriesOf(properties).map(([name, schema]) => {
    const isNeeded = needed.includes(name);
    return `${keyOf(name)}${isNeeded ? '' : '?'}: ${typeOf(schema)}`;
  });
  const [others] = [additionalProperties, ...entriesOf(patternProperties).map(([, schema]) => schema)].filter(
    isRecord,
  );
  if (fields.length === 0) return `Record<string, ${typeOf(others)}>`;
  return `{ ${fields.join('; ')} }`;
}

function keyOf(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(isRecord(value) ? value : {});
}
