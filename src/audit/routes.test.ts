/** `/api/v1/audit` over HTTP: lists, streams that lose nothing and repeat nothing, files, checks. */
import { describe, expect, test } from 'bun:test';
import { Elysia } from 'elysia';
import { fill, type TestChain, testChain } from '../../test/support/audit-chain';
import type { Principal, Scope } from '../contract';
import { FlmError } from '../lib/errors';
import { createScopeGuard, STRICT } from '../lib/scope-guard';
import { dataOf, eventsIn, SseSplitter } from '../lib/sse';
import { auditRoutes } from './routes';

const auditor: Principal = {
  kind: 'operator',
  id: 'o',
  label: 'o',
  scopes: new Set<Scope>(['audit:read', 'audit:write']),
  models: null,
};

function api({ audit }: TestChain) {
  const app = new Elysia(STRICT)
    .onError(({ error, code }) => {
      const known = error instanceof FlmError ? error.code : String(code);
      return new Response(known, { status: 400 });
    })
    .use(
      auditRoutes(
        audit,
        createScopeGuard(() => auditor),
      ),
    );
  return (path: string, init: RequestInit = {}) =>
    app.handle(new Request(`http://localhost/api/v1/audit${path}`, init));
}

/** The events of a stream as they come: their ids and what they carry; null for a comment. */
async function* events(response: Response): AsyncGenerator<{ id: number; data: unknown } | null> {
  const splitter = new SseSplitter(1_000_000);
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error('no body');
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const whole = splitter.push(value);
      if (whole === null) continue;
      for (const event of eventsIn(whole)) {
        const data = dataOf(event);
        const id = /^id: (\d+)$/m.exec(Buffer.from(event).toString())?.[1];
        if (data !== null) yield { id: Number(id), data: JSON.parse(data) };
        else if (Buffer.from(event).toString().startsWith(':')) yield null;
      }
    }
  } finally {
    await reader.cancel();
  }
}

describe('GET /events', () => {
  test('lists with filters and a cursor', async () => {
    await using chain = await testChain();
    fill(chain, 50);
    const get = api(chain);
    const page = await (await get('/events?type=config&severity=high&limit=2')).json();
    expect(page.items).toMatchObject([{ seq: 50, type: 'config.set' }, { seq: 40 }]);
    const rest = await (await get(`/events?type=config&severity=high&cursor=${page.next}`)).json();
    expect(rest).toMatchObject({ items: [{ seq: 30 }, { seq: 20 }, { seq: 10 }], next: null });
  });

  test.each([
    'limit=0',
    'limit=1001',
    'limit=x',
    'severity=bad',
    'type=%25',
    'since=x',
    'cursor=x',
    'stream=maybe',
  ])('refuses %s', async (query) => {
    await using chain = await testChain();
    expect((await api(chain)(`/events?${query}`)).status).toBe(400);
  });

  test.each([
    ['/events?stream=true&limit=3', {}],
    ['/events?limit=3', { accept: 'text/event-stream' }],
    ['/events/stream?limit=3', {}],
  ])('streams at %s %p', async (path, headers) => {
    await using chain = await testChain();
    fill(chain, 20);
    const response = await api(chain)(path, { headers });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const stream = events(response);
    for (const id of [18, 19, 20])
      expect((await stream.next()).value).toMatchObject({ id, data: { seq: id, target: `thing:${id}` } });
    await stream.return(undefined);
  });

  test('a browser that asks for a list gets one', async () => {
    await using chain = await testChain();
    const response = await api(chain)('/events?stream=false', { headers: { accept: 'text/event-stream' } });
    expect(await response.json()).toEqual({ items: [], next: null });
  });
});

describe('the stream', () => {
  test('tells 1,000 rows once each and in order to a reader who comes and goes', async () => {
    await using chain = await testChain();
    const { audit, db } = chain;
    const get = api(chain);
    const ROWS = 1_000;
    const seen: number[] = [];

    async function write(): Promise<void> {
      for (let n = 1; n <= ROWS; n++) {
        const event = { type: 'config.set', severity: 'low', target: `t:${n}`, details: null } as const;
        if (n % 2 === 0) db.security.transaction(() => audit.inSecurityDb.write(event));
        else db.config.transaction(() => audit.inConfigDb.write(event));
        if (n % 7 === 0) await new Promise((resume) => setImmediate(resume));
      }
    }

    let connections = 0;
    async function read(): Promise<void> {
      while ((seen.at(-1) ?? 0) < ROWS) {
        connections++;
        const stay = 1 + Math.floor(Math.random() * 40);
        const headers: Record<string, string> = { 'last-event-id': String(seen.at(-1) ?? 0) };
        let taken = 0;
        for await (const event of events(await get('/events/stream', { headers }))) {
          if (event === null) continue;
          seen.push(event.id);
          if (++taken === stay || event.id === ROWS) break;
        }
      }
    }

    await Promise.all([write(), read()]);
    expect(seen).toEqual(Array.from({ length: ROWS }, (_, n) => n + 1));
    expect(connections).toBeGreaterThan(20);
  });

  test('is kept alive while there is nothing to tell', async () => {
    await using chain = await testChain(1);
    const stream = events(await api(chain)('/events/stream'));
    expect((await stream.next()).value).toBeNull();
    expect((await stream.next()).value).toBeNull();
    await stream.return(undefined);
  });

  test('looks up no row that a slow reader has not asked for', async () => {
    await using chain = await testChain();
    fill(chain, 5_000);
    let pages = 0;
    const store = { ...chain.store };
    const slow = { ...chain, audit: { ...chain.audit, follow: counted } };
    async function* counted(...args: Parameters<typeof chain.audit.follow>) {
      for await (const entry of chain.audit.follow(...args)) {
        pages++;
        yield entry;
      }
    }
    const response = await api({ ...slow, store })('/events/stream', { headers: { 'last-event-id': '0' } });
    const stream = events(response);
    await stream.next();
    await new Promise((resume) => setImmediate(resume));
    expect(pages).toBeLessThan(5);
    await stream.return(undefined);
  });

  test('ends with its reader', async () => {
    await using chain = await testChain();
    const gone = new AbortController();
    const response = await api(chain)('/events/stream', { signal: gone.signal });
    const stream = events(response);
    const next = stream.next();
    gone.abort();
    expect((await next).done).toBe(true);
  });
});

describe('the other routes', () => {
  test('verify, checkpoint, and verify with the checkpoint', async () => {
    await using chain = await testChain();
    fill(chain, 5);
    const get = api(chain);
    expect(await (await get('/verify')).json()).toMatchObject({ ok: true, rows: 5, checkpoint: null });
    const checkpoint = await (await get('/checkpoint', { method: 'POST' })).json();
    expect(checkpoint).toMatchObject({ seq: 6, writer: chain.writer });
    const { writer, seq, hash } = checkpoint;
    const query = new URLSearchParams({ writer, seq: String(seq), hash });
    expect(await (await get(`/verify?${query}`)).json()).toMatchObject({
      ok: true,
      checkpoint: { seq: 6, matches: true },
    });
    query.set('hash', 'ab'.repeat(32));
    expect(await (await get(`/verify?${query}`)).json()).toMatchObject({
      ok: false,
      findings: [{ seq: 6, problem: 'rewritten' }],
      checkpoint: { seq: 6, matches: false },
    });
    expect((await get('/verify?seq=1')).status).toBe(400);
    expect((await get('/verify?writer=x&seq=1&hash=zz')).status).toBe(400);
  });

  test('export as files', async () => {
    await using chain = await testChain();
    fill(chain, 5);
    const get = api(chain);
    const json = await get('/export?type=config');
    expect(json.headers.get('content-type')).toBe('application/json');
    expect(json.headers.get('content-disposition')).toBe('attachment; filename="audit-log.json"');
    expect((await json.json()).items.map(({ seq }: { seq: number }) => seq)).toEqual([2, 4]);
    const csv = await get('/export?format=csv&type=config');
    expect(csv.headers.get('content-type')).toStartWith('text/csv');
    expect((await csv.text()).split('\r\n')).toHaveLength(4);
    expect((await get('/export?format=xml')).status).toBe(400);
  });

  test('erase', async () => {
    await using chain = await testChain();
    fill(chain, 5);
    const post = (body: unknown) =>
      api(chain)('/erase', {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });
    expect(await (await post({ ip: '192.0.2.3' })).json()).toEqual({ rows: 1 });
    expect((await post({ ip: 'x' })).status).toBe(400);
    expect((await post({})).status).toBe(400);
    expect((await post({ ip: '192.0.2.3', all: true })).status).toBe(400);
  });
});
