/** Bodies that only look small: what checks a schema walks every level. */
import { expect, test } from 'bun:test';
import { codeOf } from '../../test/support/thrown';
import { requireShallow } from './request-body';

test.each([
  ['an API key', '{"label":"x","models":["a","b"]}'],
  ['brackets in a text', `{"label":"${'['.repeat(1_000)}"}`],
  ['an escaped quote before them', `{"label":"\\"${'{'.repeat(1_000)}"}`],
  ['many, beside each other', `[${Array(1_000).fill('[]').join()}]`],
  ['as deep as anybody needs', `${'['.repeat(32)}${']'.repeat(32)}`],
  ['no JSON', '}}}]]]'],
])('takes %s', (_name, body) => {
  expect(() => requireShallow(body)).not.toThrow();
});

test.each([
  ['too many arrays', `${'['.repeat(33)}${']'.repeat(33)}`],
  ['too many objects', '{"a":'.repeat(33)],
  ['half a megabyte of them', '['.repeat(500_000)],
])('refuses %s', async (_name, body) => {
  expect(await codeOf(() => requireShallow(body))).toBe('INVALID_JSON');
});
