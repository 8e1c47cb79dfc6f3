/** Holds the documentation to the code: generated pages are up to date, links lead somewhere, the README keeps its promises. */
import { describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Glob } from 'bun';
import packageJson from '../package.json' with { type: 'json' };
import { pages } from './pages';

const ROOT = join(import.meta.dir, '..');

describe('generated pages', () => {
  test('equal what the code says ("bun run docs" writes them)', async () => {
    for (const [name, text] of Object.entries(await pages())) {
      expect(await Bun.file(join(import.meta.dir, name)).text(), name).toBe(text);
    }
  });
});

describe('every Markdown page', () => {
  test('links only to what is there', async () => {
    const broken: string[] = [];
    for await (const file of new Glob('{*.md,docs/**/*.md}').scan(ROOT)) {
      const text = await Bun.file(join(ROOT, file)).text();
      for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^(https?:|mailto:|#)/.test(target)) continue;
        if (!existsSync(join(ROOT, dirname(file), target.replace(/#.*$/, ''))))
          broken.push(`${file}: ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });
});

describe('README', () => {
  test('gives the two commands, each one line with the pinned runtime', async () => {
    const text = await Bun.file(join(ROOT, 'README.md')).text();
    for (const script of ['quickstart', 'verify'] as const) {
      expect(text).toContain(`npx -y bun@1.4.5 run ${script}`);
      expect(packageJson.scripts[script]).toBeString();
    }
  });

  test('names only commands that exist', async () => {
    const text = await Bun.file(join(ROOT, 'README.md')).text();
    const known = await Bun.file(join(import.meta.dir, 'cli.md')).text();
    const verbs = new Set([...known.matchAll(/^## flm (.+)$/gm)].map(([, name]) => name));
    const named = [
      ...text.matchAll(
        /(?:^|[`\s])flm ((?:engines|api-keys|config) [a-z-]+|models (?:(?:alias|strategy) )?[a-z]+|admin (?:sessions )?[a-z]+|up|status|chat|check|completions|version)\b/gm,
      ),
    ];
    expect(named.length).toBeGreaterThan(5);
    expect(named.map(([, name]) => name).filter((name) => !verbs.has(name))).toEqual([]);
  });
});

describe('decision records', () => {
  test('follow the template: context, choice, price, when to revisit', async () => {
    for await (const file of new Glob('docs/adr/[0-9]*.md').scan(ROOT)) {
      const text = await Bun.file(join(ROOT, file)).text();
      for (const part of ['## Context', '## Choice', '## Price', '## Revisit when'])
        expect(text, file).toContain(part);
    }
  });
});
