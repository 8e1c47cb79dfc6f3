/** The typed client as it is made of a document. */
import { expect, test } from 'bun:test';
import { clientPage } from './client-page';

const json = (schema: unknown) => ({ content: { 'application/json': { schema } } });

const page = clientPage({
  paths: {
    '/things/{id}': {
      put: {
        operationId: 'setThing',
        summary: 'Change a thing',
        description: 'Scope: `x`',
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
          { name: 'how-long', in: 'query', required: false, schema: { type: 'integer' } },
          { name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string' } },
        ],
        requestBody: json({
          type: 'object',
          required: ['kind'],
          properties: { kind: { type: 'string', enum: ['a', 'b'] }, note: { type: 'string' } },
        }),
        responses: {
          200: json({
            type: 'object',
            required: ['at', 'by'],
            properties: {
              at: { anyOf: [{ type: 'number' }, { type: 'null' }] },
              by: { type: 'object', additionalProperties: { type: 'boolean' } },
              odd: {},
            },
          }),
        },
      },
    },
    '/things-again': {
      get: {
        operationId: 'getApiThings-again',
        summary: 'List',
        description: '',
        responses: { 200: json({ const: true }) },
      },
    },
    '/events': {
      get: { operationId: 'watch', responses: { 200: { content: { 'text/event-stream': {} } } } },
    },
  },
});

test.each([
  [
    'the query, whose fields may be left out',
    'export type SetThingQuery = { "how-long"?: number | undefined };',
  ],
  ['the body', 'export type SetThingBody = { kind: "a" | "b"; note?: string };'],
  [
    'the result',
    'export type SetThingResult = { at: number | null; by: Record<string, boolean>; odd?: unknown };',
  ],
  [
    'the operation, without headers',
    "setThing: (input: { params: { id: string }; query?: SetThingQuery; body: SetThingBody } & Cancellable) => send<SetThingResult>('PUT', '/things/{id}', input),",
  ],
  ['what it does', '/** Change a thing. Scope: `x` */'],
  [
    'an operation that needs nothing',
    "getApiThingsAgain: (input: Cancellable = {}) => send<GetApiThingsAgainResult>('GET', '/things-again', input),",
  ],
])('has %s', (_, line) => {
  expect(page).toContain(line);
});

test('has no function for a stream', () => {
  expect(page).not.toContain('watch');
});
