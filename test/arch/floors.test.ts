/**
 * Holds the floors of the house (design §2): a room imports only from lower floors, rooms of one floor never import each
 * other, and only egress opens outbound connections. Why: so that a change in one room cannot break another behind its back.
 */
import { describe, expect, test } from 'bun:test';
import { join, normalize } from 'node:path';
import { Glob } from 'bun';

const ROOT = join(import.meta.dir, '..', '..');

/** Lower numbers are lower floors. Tests may import anything. */
const FLOORS: Readonly<Record<string, number>> = {
  'src/main': 7,
  cli: 6,
  'src/app': 5,
  'src/gateway': 4,
  'src/admin': 4,
  'src/console': 4,
  'src/engines': 3,
  'src/models': 3,
  'src/admission': 3,
  'src/security': 3,
  'src/devices': 3,
  'src/jobs': 3,
  certs: 3,
  'src/listeners': 3,
  'src/daemon': 3,
  'src/config': 2,
  'src/policy': 2,
  'src/audit': 2,
  'src/activity': 2,
  'src/telemetry': 2,
  'src/egress': 2,
  db: 1,
  'src/lib': 0,
  'src/contract': 0,
  'src/version': 0,
};

interface Import {
  readonly from: string;
  readonly to: string;
}

/** The room of a file: its first two path parts under src, else its first. */
function roomOf(path: string): string {
  const [first = '', second = ''] = path.split('/');
  return first === 'src' ? `src/${second.replace(/\.tsx?$/, '')}` : first;
}

async function sources(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const folder of ['src', 'db', 'cli', 'certs']) {
    for await (const file of new Glob(`${folder}/**/*.{ts,tsx}`).scan(ROOT)) {
      if (!/\.test\.tsx?$|drizzle\.config\.ts$/.test(file))
        files.set(file, await Bun.file(join(ROOT, file)).text());
    }
  }
  return files;
}

/** Relative imports of all kinds: static, type-only, dynamic, re-exports. */
function importsIn(file: string, text: string): Import[] {
  const found = text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g);
  return [...found].map((match) => ({
    from: file,
    to: normalize(join(file, '..', match[1] ?? '')),
  }));
}

const files = await sources();
const imports = [...files].flatMap(([file, text]) => importsIn(file, text));

describe('floors', () => {
  test('every room has a floor', () => {
    const unknown = [...files.keys()].filter((file) => FLOORS[roomOf(file)] === undefined);
    expect(unknown).toEqual([]);
  });

  test('imports go down, and never across', () => {
    const wrong = imports.filter(({ from, to }) => {
      const [here, there] = [roomOf(from), roomOf(to)];
      if (here === there || there === 'package.json' || there === '..') return false;
      const [up, down] = [FLOORS[here] ?? 0, FLOORS[there] ?? Number.POSITIVE_INFINITY];
      // The lowest floor holds three rooms that are one in all but name.
      return down >= up && !(up === 0 && down === 0);
    });
    expect(wrong).toEqual([]);
  });

  test('a room is entered by its face, and its routes only by the room that mounts them', () => {
    const wrong = imports.filter(({ from, to }) => {
      const [here, there] = [roomOf(from), roomOf(to)];
      if (here === there || !to.startsWith('src/')) return false;
      if (there === 'src/lib' || there === 'src/contract') return false;
      const inside = to.slice(there.length);
      if (inside === '' || inside === '/index') return false;
      if (inside === '/routes') return here !== 'src/admin' && here !== 'src/gateway';
      // The client side of the admin API has a door of its own: it must not bring the server along.
      // A process that was replaced is a client of the one that replaced it.
      return !(to === 'src/admin/client' && (here === 'cli' || here === 'src/app'));
    });
    expect(wrong).toEqual([]);
  });

  test('the contract imports nothing', () => {
    const wrong = imports.filter(
      ({ from, to }) => roomOf(from) === 'src/contract' && roomOf(to) !== 'src/contract',
    );
    expect(wrong).toEqual([]);
  });

  test('only egress opens outbound connections', () => {
    // Looking a name up tells a name server what FLM is about to do: that leaves the machine, too.
    const opens =
      /\bfetch\s*\(|\bBun\.(?:connect|udpSocket|dns)\b|\bnew (?:WebSocket|EventSource|XMLHttpRequest)\b|(?:from|import\(|require\() ?'(?:node:)?(?:net|tls|http|https|http2|dgram|dns)(?:\/promises)?'|'(?:socks|undici|axios|node-fetch|ws)'/;
    const asGlobal = /\b(?:globalThis|window|self|Bun)\.fetch\b/;
    const wrong = [...files]
      // A front connects to the listener behind it, in the same process.
      .filter(([file]) => roomOf(file) !== 'src/egress' && !/^src\/listeners\/(?:front|tls)\//.test(file))
      .flatMap(([file, text]) =>
        text
          .split('\n')
          .filter(
            (line) =>
              !/^\s*(\*|\/\/|\/\*)/.test(line) &&
              (asGlobal.test(line) ||
                (opens.test(line) &&
                  !/\bfetch\(request|\bfetch\(context|async fetch\(|\.fetch\(/.test(line))),
          )
          .map((line) => `${file}: ${line.trim()}`),
      );
    expect(wrong).toEqual([]);
  });

  test('only stores talk SQL', () => {
    const wrong = [...files.keys()].filter(
      (file) =>
        file.startsWith('src/') &&
        !file.endsWith('/store.ts') &&
        /from 'drizzle-orm/.test(files.get(file) ?? ''),
    );
    expect(wrong).toEqual([]);
  });

  test('no rule reads the clock by itself', () => {
    const wrong = [...files].filter(
      ([file, text]) => file !== 'src/lib/clock.ts' && /\bDate\.now\(\)|\bperformance\.now\(\)/.test(text),
    );
    expect(wrong.map(([file]) => file)).toEqual([]);
  });
});

describe('tracked files', () => {
  test('hold no private key and no API key', async () => {
    const listed = await new Response(Bun.spawn(['git', 'ls-files', '-z'], { cwd: ROOT }).stdout).text();
    const wrong: string[] = [];
    for (const file of listed.split('\0').filter((name) => name !== '')) {
      const text = await Bun.file(join(ROOT, file))
        .text()
        .catch(() => '');
      if (/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/]/.test(text)) wrong.push(file);
      if (/\bflm_[0-9A-Za-z]{46}\b/.test(text) && !/\.test\.ts$/.test(file)) wrong.push(file);
    }
    expect(wrong).toEqual([]);
  });

  test('lie in the folders the design names', async () => {
    const listed = await new Response(Bun.spawn(['git', 'ls-files'], { cwd: ROOT }).stdout).text();
    const folders = new Set(
      listed.split('\n').flatMap((file) => (file.includes('/') ? [file.split('/')[0] ?? ''] : [])),
    );
    const unknown = [...folders].filter(
      (folder) => !folder.startsWith('.') && !['src', 'db', 'cli', 'certs', 'test', 'docs'].includes(folder),
    );
    expect(unknown).toEqual([]);
  });
});
