/** The catalogue, and every place that throws from it: a message must never reach anybody with a `{name}` left open. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { Glob } from 'bun';
import { ERRORS, type ErrorCode, errorFromWire, FlmError, reasonOf, toFlmError } from './errors';

const ROOT = join(import.meta.dir, '..', '..');
const CODES = Object.keys(ERRORS) as ErrorCode[];

describe('the catalogue', () => {
  test.each(CODES)('%s has a status, an exit code and a message that fit', (code) => {
    const { status, exit, message, hint, type } = ERRORS[code];
    expect(status).toBeWithin(400, 600);
    expect([1, 2, 3]).toContain(exit);
    expect(message).toMatch(/[.]$/);
    expect(hint === null || hint.length > 0).toBe(true);
    // A server's fault is no 4xx of OpenAI's kind, and a client's fault no 5xx.
    if (type === 'authentication_error') expect(status).toBe(401);
    if (type === 'permission_error') expect(status).toBe(403);
    if (type === 'rate_limit_error') expect(status).toBe(429);
    if (type === 'not_found_error') expect(status).toBe(404);
  });

  test('gives clients the codes of FLM-085, in lower case', () => {
    const wire = Object.fromEntries(CODES.map((code) => [code, new FlmError(code).wireCode]));
    for (const word of Object.values(wire)) expect(word).toMatch(/^[a-z][a-z_]*$/);
    expect(wire).toMatchObject({
      INVALID_API_KEY: 'invalid_api_key',
      NO_API_KEYS: 'invalid_api_key',
      MODEL_NOT_FOUND: 'model_not_found',
      TOO_MANY_REQUESTS_OPEN: 'resource_throttle',
      ENGINE_NETWORK_ERROR: 'network_error',
      ENGINE_API_ERROR: 'invalid_response',
      STREAMING_TIMEOUT: 'streaming_timeout',
      REQUEST_TIMEOUT: 'request_timeout',
      INTERNAL_ERROR: 'internal_error',
    });
  });

  test('leaves with exit code 3 exactly where a restart does not help', () => {
    expect(CODES.filter((code) => ERRORS[code].exit === 3).sort()).toEqual([
      'CONFIG_FILE_INVALID',
      'DB_DAMAGED',
      'DB_KEY_MISSING',
      'DB_KEY_WRONG',
      'DB_MISSING',
      'EXPOSURE_REFUSED',
      'EXPOSURE_WITHOUT_KEY',
      'PROXY_INVALID_CONFIG',
    ]);
  });
});

describe('FlmError', () => {
  test('fills message and hint from its meta', () => {
    const error = new FlmError('FORBIDDEN', { meta: { scope: 'metrics' } });
    expect(error.message).toBe('This key may not do that: it lacks the scope "metrics".');
    expect(error.hint).toEndWith('--scope metrics');
    expect([error.code, error.status, error.type, error.exit, error.param]).toEqual([
      'FORBIDDEN',
      403,
      'permission_error',
      1,
      null,
    ]);
  });

  test('keeps what looks like a placeholder inside a value', () => {
    const error = new FlmError('CONFIG_NOT_SET', { meta: { key: '{key}$&$1' } });
    expect(error.message).toBe('There is no setting "{key}$&$1".');
  });

  test('takes a hint, a param and a cause from the place that throws', () => {
    const cause = new Error('below');
    const error = new FlmError('INVALID_MODEL', {
      meta: { reason: 'r', near: 'x' },
      param: 'model',
      hint: 'Try {near}.',
      cause,
    });
    expect([error.hint, error.param, error.cause]).toEqual(['Try x.', 'model', cause]);
    expect(Object.hasOwn(new FlmError('INTERNAL_ERROR'), 'cause')).toBe(false);
  });

  test('hides what went wrong inside, and keeps it as the cause', () => {
    const inside = new TypeError('secret path /home/me');
    const error = toFlmError(inside);
    expect([error.code, error.cause]).toEqual(['INTERNAL_ERROR', inside]);
    expect(error.message + error.hint).not.toContain('secret');
    expect(toFlmError(error)).toBe(error);
    expect(toFlmError('thrown text').code).toBe('INTERNAL_ERROR');
  });

  test('says DB_ERROR for what SQLite tells a store', () => {
    const full = Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
    const error = toFlmError(full);
    expect([error.code, error.exit, error.cause]).toEqual(['DB_ERROR', 2, full]);
    expect(error.message).toBe('The database of this installation failed: database or disk is full.');
    expect(toFlmError(Object.assign(new Error('x'), { code: 'ENOSPC' })).code).toBe('INTERNAL_ERROR');
  });

  test('comes back from the wire with the words that were sent', () => {
    const sent = { code: 'KEY_NOT_FOUND', message: 'There is no API key "x".', hint: null };
    const error = errorFromWire(sent);
    expect([error.code, error.message, error.hint]).toEqual(['KEY_NOT_FOUND', sent.message, null]);
    expect(errorFromWire({ ...sent, code: 'OF_THE_FUTURE' }).code).toBe('INTERNAL_ERROR');
    // Not an own property of the catalogue.
    expect(errorFromWire({ ...sent, code: 'toString' }, 'ENGINE_API_ERROR').code).toBe('ENGINE_API_ERROR');
  });
});

describe('reasonOf', () => {
  test.each([
    ['It broke.\n  at line 3', 'It broke'],
    ['No more space . ', 'No more space'],
    ['', ''],
  ])('is one line without a full stop: %p', (said, reason) => {
    expect(reasonOf(new Error(said))).toBe(reason);
    expect(reasonOf(said)).toBe(reason);
  });

  test('takes whatever was thrown', () => {
    expect([undefined, null, 7, { toString: () => 'odd' }].map(reasonOf)).toEqual([
      'undefined',
      'null',
      '7',
      'odd',
    ]);
  });
});

/** One `new FlmError(…)` in the source. */
interface Throw {
  readonly place: string;
  readonly codes: readonly ErrorCode[];
  readonly metaNames: readonly string[];
  /** The place says its own hint whenever it throws. */
  readonly ownHint: boolean;
}

/** Where the source names the code or the meta in a way that cannot be read off: each with the reason it is right. */
const UNREADABLE: Readonly<Record<string, string>> = {
  'src/lib/errors.ts: code, { meta: { requestId: wire.requestId ?? null } }': 'message and hint are replaced',
};

/** Text of the call's arguments, cut at its top-level commas. Quotes and brackets are respected. */
function argumentsAt(text: string, open: number): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = open + 1;
  let quote = '';
  for (let at = open; at < text.length; at++) {
    const char = text[at] ?? '';
    if (quote !== '') {
      if (char === '\\') at++;
      else if (char === quote) quote = '';
    } else if (`'"\``.includes(char)) quote = char;
    else if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char)) {
      if (--depth > 0) continue;
      parts.push(text.slice(start, at));
      break;
    } else if (char === ',' && depth === 1) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

function codesIn(text: string): ErrorCode[] {
  return [...text.matchAll(/'([A-Z_]+)'/g)].flatMap(([, name = '']) =>
    Object.hasOwn(ERRORS, name) ? [name as ErrorCode] : [],
  );
}

/** Names of the fields of an object literal; shorthand ones too. */
function fieldsOf(literal: string): string[] {
  return argumentsAt(literal, 0).map((field) => /^['"]?(\w+)/.exec(field)?.[1] ?? `unreadable: ${field}`);
}

function throwsIn(file: string, text: string): Throw[] {
  return [...text.matchAll(/new FlmError\(/g)].map((match) => {
    const at = match.index + match[0].length - 1;
    const [code = '', options = ''] = argumentsAt(text, at);
    const place = `${file}: ${[code, options].filter((part) => part !== '').join(', ')}`.replace(/\s+/g, ' ');
    const named = codesIn(code);
    // `const code = … ? 'A' : 'B';` above it.
    const above = text.slice(0, at).lastIndexOf(`const ${code} =`);
    const codes =
      named.length > 0 || above === -1 ? named : codesIn(text.slice(above, text.indexOf(';', above)));
    const fields = options.startsWith('{') ? argumentsAt(options, 0) : [];
    const meta = fields
      .find((field) => field.startsWith('meta:'))
      ?.slice('meta:'.length)
      .trim();
    return {
      place,
      codes,
      metaNames: meta?.startsWith('{') === true ? fieldsOf(meta) : [],
      ownHint: fields.some((field) => /^hint\b/.test(field)),
    };
  });
}

function placeholders(text: string | null): string[] {
  return [...(text ?? '').matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
}

const sources = new Map<string, string>();
for (const folder of ['src', 'db', 'cli', 'certs']) {
  for await (const file of new Glob(`${folder}/**/*.ts`).scan(ROOT)) {
    if (!file.endsWith('.test.ts')) sources.set(file, await Bun.file(join(ROOT, file)).text());
  }
}

/** Codes that wait for what throws them. */
const RESERVED: Readonly<Partial<Record<ErrorCode, string>>> = {
  ENGINE_TIMEOUT: 'FLM-013 names it; the limits of today end as REQUEST_TIMEOUT and STREAMING_TIMEOUT',
};

describe('the places that throw', () => {
  const places = [...sources].flatMap(([file, text]) => throwsIn(file, text));

  test('are found', () => {
    expect(places.length).toBeGreaterThan(60);
  });

  test('name codes that can be read off', () => {
    const unreadable = places.filter(({ codes }) => codes.length === 0).map(({ place }) => place);
    expect(unreadable.filter((place) => UNREADABLE[place] === undefined)).toEqual([]);
  });

  test('fill every placeholder of the message and the hint', () => {
    const open = places.flatMap(({ place, codes, metaNames, ownHint }) =>
      codes.flatMap((code) => {
        const { message, hint } = ERRORS[code];
        const needed = [...placeholders(message), ...(ownHint ? [] : placeholders(hint))];
        const missing = needed.filter((name) => !metaNames.includes(name));
        return missing.length === 0 ? [] : [`${place} leaves {${missing.join('}, {')}} of ${code} open`];
      }),
    );
    expect(open).toEqual([]);
  });

  test('use every code of the catalogue', () => {
    const texts = [...sources.values()];
    // Some are handed on rather than thrown; then their names stand somewhere else.
    const unused = CODES.filter((code) => !texts.some((text) => text.includes(`'${code}'`)));
    expect(unused.sort()).toEqual(Object.keys(RESERVED).sort() as ErrorCode[]);
  });
});
