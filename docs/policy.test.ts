/** Holds docs/policy.md to the code: its examples are valid policies, and its commands are there. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { findProblems, findWarnings } from '../src/policy/rules';
import { fits, schemaProblems } from '../src/policy/schema';

const page = await Bun.file(join(import.meta.dir, 'policy.md')).text();
const blocks = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, text = '']) => text);

test('the page has examples', () => {
  expect(blocks.length).toBeGreaterThan(2);
});

test.each(blocks)('is valid, and gives no cause for warnings: %s', async (text) => {
  const document: unknown = JSON.parse(text);
  expect([...(await schemaProblems(document)), ...findProblems(document)]).toEqual([]);
  if (!fits(document)) throw new Error('it does not fit');
  expect(findWarnings(document, { isPublic: true, clients: [] }).filter(({ path }) => path !== '')).toEqual(
    [],
  );
});

test('names only commands that exist', async () => {
  const commands = await Bun.file(join(import.meta.dir, 'cli.md')).text();
  const known = new Set([...commands.matchAll(/^## flm (.+)$/gm)].map(([, name]) => name));
  const named = [...page.matchAll(/flm (security (?:policy|ip-whitelist|audit-logs) [a-z-]+|proxy reload)/g)];
  expect(named.length).toBeGreaterThan(10);
  expect(named.map(([, name]) => name).filter((name) => !known.has(name))).toEqual([]);
});
