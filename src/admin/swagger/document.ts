/** The OpenAPI document of the admin API. The only file that knows @elysiajs/swagger; loaded when first asked for. */
import { swagger } from '@elysiajs/swagger';
import { type AnyElysia, Elysia } from 'elysia';
import { isRecord } from '../../lib/json';
import { MEDIA_FIELD } from '../../lib/scope-guard';
import { AdminErrorBody } from '../errors';

export type Json = Record<string, unknown>;

const CHANGES: ReadonlySet<string> = new Set(['post', 'put', 'patch', 'delete']);

/** With which statuses an operation may fail, all in one shape. Which error it is says its `code`. */
const ERRORS = {
  400: 'The input is wrong.',
  401: 'Nobody known asks.',
  403: 'Whoever asks lacks the scope, or a page of somebody else asks.',
  404: 'What the request names is not there.',
  429: 'Too many wrong tokens; Retry-After says how long to wait.',
  500: 'FLM failed inside.',
  502: 'An engine cannot be reached, or its answer is no use.',
  503: 'FLM is stopping, or another process holds the data.',
  504: 'An engine did not answer in time.',
} as const;

const ERRORS_OF_CHANGES = {
  408: 'The body did not arrive in time.',
  409: 'It contradicts what is there, or its Idempotency-Key was used for another request.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
} as const;

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same change sent again under the same key, within a day, gets the first answer again.',
  schema: { type: 'string', pattern: '^[!-~]{1,255}$' },
} as const;

/** The document for the given routes. */
export async function documentOf(routes: AnyElysia, version: string): Promise<Json> {
  const app = new Elysia()
    .use(
      swagger({
        path: '/swagger',
        exclude: ['/swagger', '/swagger/json'],
        documentation: {
          openapi: '3.1.0',
          info: {
            title: 'FLM admin API',
            version,
            description: 'Manages FLM. Each operation names the scope it needs in x-flm-scope.',
          },
          security: [{ bearer: [] }, { cookie: [] }],
        },
      }),
    )
    .use(routes);
  const response = await app.handle(new Request('http://localhost/swagger/json'));
  const raw: unknown = await response.json();
  if (!isRecord(raw) || !isRecord(raw.paths)) throw new TypeError('the document has no paths');
  return { ...raw, paths: plain(finishPaths(raw.paths)), components: COMPONENTS };
}

const COMPONENTS = {
  schemas: { Error: AdminErrorBody },
  responses: mapValues({ ...ERRORS, ...ERRORS_OF_CHANGES }, errorResponse),
  securitySchemes: {
    bearer: { type: 'http', scheme: 'bearer', description: 'The secret of a session, for scripts.' },
    cookie: { type: 'apiKey', in: 'cookie', name: 'flm_session', description: 'A session, for browsers.' },
  },
} as const;

/** What the plugin does not know: one spelling of each path, JSON alone, errors, and the header that changes take. */
function finishPaths(paths: Json): Json {
  const finished: Json = {};
  for (const [path, operations] of Object.entries(paths)) {
    const bare = path.replace(/(.)\/$/, '$1');
    const merged = isRecord(finished[bare]) ? finished[bare] : {};
    for (const [method, operation] of Object.entries(isRecord(operations) ? operations : {}))
      merged[method] = finishOperation(method, isRecord(operation) ? operation : {});
    finished[bare] = merged;
  }
  return finished;
}

function finishOperation(method: string, operation: Json): Json {
  const { parameters, responses, requestBody, [MEDIA_FIELD]: media, ...rest } = operation;
  const answers = mapValues(mapValues(responses, Array.isArray(media) ? inMedia(media) : jsonOnly), open);
  const given = Array.isArray(parameters) ? parameters : [];
  const errors = CHANGES.has(method) ? { ...ERRORS, ...ERRORS_OF_CHANGES } : ERRORS;
  return {
    ...rest,
    parameters: CHANGES.has(method) ? [...given, IDEMPOTENCY_KEY] : given,
    ...(requestBody === undefined ? {} : { requestBody: jsonOnly(requestBody) }),
    responses: { ...answers, ...mapValues(errors, refersTo) },
  };
}

/** The plugin promises forms and plain text wherever there is JSON. */
function jsonOnly(holder: unknown): unknown {
  if (!isRecord(holder) || !isRecord(holder.content)) return holder;
  const json = holder.content['application/json'];
  return json === undefined ? holder : { ...holder, content: { 'application/json': json } };
}

/** What a route says of itself: only JSON has an inside that is told here. */
function inMedia(types: readonly unknown[]): (answer: unknown) => unknown {
  const content = Object.fromEntries(
    types.map((type) => [String(type), { schema: type === 'application/json' ? {} : { type: 'string' } }]),
  );
  return (answer) => (isRecord(answer) ? { ...answer, content } : answer);
}

/** An answer may get more fields one day. (Elysia writes into a schema that it has checked an answer with.) */
function open(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(open);
  if (!isRecord(value)) return value;
  const { additionalProperties, ...rest } = value;
  return mapValues(additionalProperties === false ? rest : value, open);
}

function errorResponse(description: unknown): Json {
  return {
    description,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
  };
}

function refersTo(_description: unknown, status: string): Json {
  return { $ref: `#/components/responses/${status}` };
}

/**
 * Schemas as people write them: a choice among words is an enum, and a number in a query is a number, which Elysia calls a
 * number or a text.
 */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isRecord(value)) return value;
  const { anyOf, ...rest } = value;
  if (!Array.isArray(anyOf)) return mapValues(value, plain);
  const words = anyOf.map((choice) =>
    isRecord(choice) && typeof choice.const === 'string' ? choice.const : null,
  );
  if (words.every((word) => word !== null)) return { type: 'string', enum: words, ...rest };
  const numbers = anyOf.filter((choice) => !(isRecord(choice) && TEXT_OF_NUMBERS.has(choice.format)));
  if (numbers.length === 1 && anyOf.length === 2) return { ...rest, ...(plain(numbers[0]) as Json) };
  return mapValues(value, plain);
}

const TEXT_OF_NUMBERS: ReadonlySet<unknown> = new Set(['integer', 'numeric']);

function mapValues(object: unknown, map: (value: unknown, name: string) => unknown): Json {
  return Object.fromEntries(
    Object.entries(isRecord(object) ? object : {}).map(([name, value]) => [name, map(value, name)]),
  );
}
