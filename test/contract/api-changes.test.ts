/** The admin API of this version takes what clients of the last release send, and gives what they read. */
import { describe, expect, test } from 'bun:test';
import baseline from '../../docs/openapi.baseline.json' with { type: 'json' };
import current from '../../docs/openapi.json' with { type: 'json' };
import { breaksBetween } from '../support/api-changes';

// A break on purpose is a new major version. At a release: cp docs/openapi.json docs/openapi.baseline.json
test('nothing that the last release had is gone or asks for more', () => {
  expect(breaksBetween(baseline, current)).toEqual([]);
});

type Json = Record<string, unknown>;

const body = (schema: Json) => ({ required: true, content: { 'application/json': { schema } } });
const answer = (schema: Json) => ({ description: 'It.', content: { 'application/json': { schema } } });

const INPUT: Json = {
  type: 'object',
  required: ['label'],
  properties: {
    label: { type: 'string', maxLength: 200 },
    kind: { type: 'string', enum: ['a', 'b'] },
    count: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
  },
};

const OUTPUT: Json = {
  type: 'object',
  required: ['id', 'status', 'items'],
  properties: {
    id: { type: 'string' },
    status: { type: 'string', enum: ['on', 'off'] },
    items: {
      type: 'array',
      items: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
    },
  },
};

const QUERY: Json = { name: 'hours', in: 'query', required: false, schema: { type: 'integer', maximum: 24 } };

/** A document with one operation that takes INPUT and gives OUTPUT, and what `change` makes of it. */
function documentWith(change: Json = {}): Json {
  const operation = {
    'x-flm-scope': 'keys:write',
    parameters: [QUERY],
    requestBody: body(INPUT),
    responses: { 200: answer(OUTPUT), 409: { $ref: '#/components/responses/409' } },
    ...change,
  };
  return { paths: { '/things': { post: operation } } };
}

const withInput = (properties: Json, required = ['label']) =>
  documentWith({
    requestBody: body({ ...INPUT, required, properties: { ...(INPUT.properties as Json), ...properties } }),
  });
const withOutput = (properties: Json, required = ['id', 'status', 'items']) =>
  documentWith({
    responses: {
      200: answer({ ...OUTPUT, required, properties: { ...(OUTPUT.properties as Json), ...properties } }),
      409: {},
    },
  });
const without = (schema: Json, name: string): Json => {
  const { [name]: _, ...properties } = schema.properties as Json;
  return { ...schema, properties };
};

describe('a break', () => {
  test.each<[string, Json, string]>([
    ['a path that is gone', { paths: {} }, 'POST /things: it is gone'],
    ['a method that is gone', { paths: { '/things': { get: {} } } }, 'POST /things: it is gone'],
    [
      'another scope',
      documentWith({ 'x-flm-scope': 'admin:write' }),
      'it needs the scope admin:write, not keys:write',
    ],
    ['a status that is gone', documentWith({ responses: { 200: answer(OUTPUT) } }), 'answer 409 is gone'],
    ['a parameter that is gone', documentWith({ parameters: [] }), 'query parameter hours is gone'],
    [
      'a parameter that is required',
      documentWith({ parameters: [{ ...QUERY, required: true }] }),
      'query parameter hours is required now',
    ],
    [
      'a new parameter that is required',
      documentWith({ parameters: [QUERY, { name: 'x', in: 'query', required: true, schema: {} }] }),
      'query parameter x is required now',
    ],
    [
      'a tighter limit of a parameter',
      documentWith({ parameters: [{ ...QUERY, schema: { type: 'integer', maximum: 12 } }] }),
      'its maximum is tighter',
    ],
    ['a field that must be sent', withInput({}, ['label', 'kind']), 'body.kind is required now'],
    [
      'a new field that must be sent',
      withInput({ x: { type: 'string' } }, ['label', 'x']),
      'body.x is required now',
    ],
    [
      'a field that may not be sent',
      documentWith({ requestBody: body(without(INPUT, 'kind')) }),
      'body.kind is gone',
    ],
    [
      'a word that may not be sent',
      withInput({ kind: { type: 'string', enum: ['a'] } }),
      'body.kind: b is gone',
    ],
    [
      'words where a text was',
      withInput({ label: { type: 'string', enum: ['a'] } }),
      'body.label: it takes a few words',
    ],
    [
      'null that may not be sent',
      withInput({ count: { type: 'integer' } }),
      'its type was integer or null and is integer',
    ],
    ['another type to send', withInput({ label: { type: 'integer' } }), 'its type was string and is integer'],
    ['a shorter text', withInput({ label: { type: 'string', maxLength: 100 } }), 'its maxLength is tighter'],
    [
      'a text that has a form now',
      withInput({ label: { type: 'string', pattern: '^x' } }),
      'its pattern is another one',
    ],
    [
      'a field that is not answered',
      documentWith({ responses: { 200: answer(without(OUTPUT, 'id')), 409: {} } }),
      '.id is gone',
    ],
    ['a field that may be missing', withOutput({}, ['id', 'items']), '.status may be missing now'],
    [
      'a type that is answered otherwise',
      withOutput({ id: { type: 'integer' } }),
      'its type was string and is integer',
    ],
    [
      'null that is answered',
      withOutput({ id: { anyOf: [{ type: 'string' }, { type: 'null' }] } }),
      'its type was string and is string or null',
    ],
    [
      'a word that is not answered',
      withOutput({ status: { type: 'string', enum: ['on'] } }),
      '.status: off is gone',
    ],
    [
      'a field gone from a list',
      withOutput({ items: { type: 'array', items: { type: 'object' } } }),
      '.items[].name is gone',
    ],
    [
      'JSON that is gone',
      documentWith({ responses: { 200: { content: {} }, 409: {} } }),
      'application/json is gone',
    ],
  ])('is %s', (_, after, words) => {
    const found = breaksBetween(documentWith(), after);
    expect(found.length).toBe(1);
    expect(found[0]).toContain(words);
  });

  test('is a body where none was', () => {
    const before = documentWith({ requestBody: undefined });
    expect(breaksBetween(before, documentWith())).toEqual(['POST /things: body is required now']);
  });
});

describe('no break', () => {
  test.each<[string, Json]>([
    ['nothing new', documentWith()],
    ['another path', { paths: { ...(documentWith().paths as Json), '/others': { get: {} } } }],
    ['another parameter', documentWith({ parameters: [QUERY, { ...QUERY, name: 'days' }] })],
    ['another field to send', withInput({ note: { type: 'string' } })],
    ['another word to send', withInput({ kind: { type: 'string', enum: ['a', 'b', 'c'] } })],
    [
      'a number where a whole one was',
      withInput({ count: { anyOf: [{ type: 'number' }, { type: 'null' }] } }),
    ],
    ['a wider limit', withInput({ label: { type: 'string', maxLength: 300 } })],
    ['a field that need not be sent', withInput({}, [])],
    ['another field to read', withOutput({ more: { type: 'string' } })],
    ['another status', documentWith({ responses: { 200: answer(OUTPUT), 409: {}, 413: {} } })],
  ])('is %s', (_, after) => {
    expect(breaksBetween(documentWith(), after)).toEqual([]);
  });
});
