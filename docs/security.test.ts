/** Holds the threat model to the tests: every row names some that exist, or says plainly that the thing is not there yet. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '..');
const page = readFileSync(join(import.meta.dir, 'security.md'), 'utf8');

interface Row {
  readonly letter: string;
  readonly threat: string;
  readonly defence: string;
  readonly named: readonly { readonly file: string; readonly name: string }[];
}

const rows: readonly Row[] = page
  .split('\n')
  .filter((line) => /^\| [STRIDE] \|/.test(line))
  .map((line) => {
    const [, letter = '', threat = '', defence = '', held = ''] = line.split('|').map((cell) => cell.trim());
    const named = [...held.matchAll(/`([^`]+\.test\.ts)`: "([^"]+)"/g)].map(([, file = '', name = '']) => ({
      file,
      name,
    }));
    return { letter, threat, defence, named };
  });

describe('the threat model', () => {
  test('has rows for all of STRIDE, and for every row of HL-110', () => {
    expect(new Set(rows.map(({ letter }) => letter)).size).toBe(6);
    for (const letter of ['S', 'T', 'I', 'D', 'E'])
      expect([letter, rows.some((row) => row.letter === letter && row.threat.includes('HL-110'))]).toEqual([
        letter,
        true,
      ]);
    for (const more of ['stolen key', 'URL of an engine', 'oversized prompt', 'cross-tenant cache'])
      expect([more, rows.some(({ threat }) => threat.includes(more))]).toEqual([more, true]);
  });

  test.each(rows.map((row) => [row.threat, row] as const))('%s', (_, { defence, named }) => {
    const isMissing = defence.startsWith('*not there yet');
    expect(named.length === 0).toBe(isMissing);
    for (const { file, name } of named) {
      const path = join(ROOT, file);
      expect([file, existsSync(path)]).toEqual([file, true]);
      expect([file, name, readFileSync(path, 'utf8').includes(name)]).toEqual([file, name, true]);
    }
  });

  test('is what SECURITY.md leads to', () => {
    expect(readFileSync(join(ROOT, 'SECURITY.md'), 'utf8')).toContain('(docs/security.md)');
  });
});
