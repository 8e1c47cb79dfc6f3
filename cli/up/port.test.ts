import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createEgress, type Egress } from '../../src/egress';
import { systemClock } from '../../src/lib/clock';
import { FlmError } from '../../src/lib/errors';
import { startFake } from '../../test/fake';
import { freePort } from '../../test/support/ports';
import { serveOnFreePort } from './port';

let egress: Egress;
beforeAll(() => {
  egress = createEgress({ clock: systemClock });
});
afterAll(() => egress.close());

type Source = 'default' | 'env' | 'database' | 'file';

/** Tries to get a place where every port up to `taken` is taken. */
async function attempt(options: {
  port: number | null;
  configured?: number;
  source?: Source;
  takenUpTo: number;
}) {
  const { port, configured = 8080, source = 'default', takenUpTo } = options;
  const tried: number[] = [];
  const notes: string[] = [];
  const app = {
    egress,
    config: {
      current: () => ({ 'proxy.port': configured }),
      get: async () => ({ source }),
    },
    async serve(place: { bind: string; port: number; allowPlaintext: boolean }) {
      tried.push(place.port);
      if (place.port > 0 && place.port <= takenUpTo)
        throw new FlmError('PROXY_PORT_IN_USE', { meta: { port: place.port, bind: place.bind, by: '?' } });
    },
  };
  const cli = { note: (line: string) => void notes.push(line) };
  const error: unknown = await serveOnFreePort(app, cli, {
    port,
    bind: '127.0.0.1',
    allowPlaintext: false,
    mode: 'local-http',
    httpsPort: null,
  }).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return { tried, notes, error };
}

describe('a free port', () => {
  test('is taken without a word', async () => {
    expect(await attempt({ port: null, takenUpTo: 0 })).toEqual({ tried: [8080], notes: [], error: null });
    expect(await attempt({ port: 9000, takenUpTo: 0 })).toEqual({ tried: [9000], notes: [], error: null });
    expect(await attempt({ port: 0, takenUpTo: 0 })).toEqual({ tried: [0], notes: [], error: null });
  });
});

describe('the default port, when it is taken', () => {
  test('gives way to the next free one, and says so once', async () => {
    const port = await freePort(3);
    const { tried, notes, error } = await attempt({ port: null, configured: port, takenUpTo: port + 2 });
    expect(tried).toEqual([port, port + 1, port + 2, port + 3]);
    expect(notes).toEqual([
      `Port ${port} on 127.0.0.1 is taken by another program. FLM takes the next free one.`,
    ]);
    expect(error).toBeNull();
  });

  test('is given up after twenty more', async () => {
    const port = await freePort(20);
    const { tried, error } = await attempt({ port: null, configured: port, takenUpTo: 65_535 });
    expect(tried).toHaveLength(21);
    expect(error).toMatchObject({ code: 'PROXY_PORT_IN_USE', meta: { port: port + 20 } });
  });

  test('is not looked for beyond the last port there is', async () => {
    const { tried, error } = await attempt({ port: null, configured: 65_534, takenUpTo: 65_535 });
    expect(tried).toEqual([65_534, 65_535]);
    expect(error).toMatchObject({ code: 'PROXY_PORT_IN_USE' });
  });
});

describe('a port that was asked for', () => {
  test.each(['env', 'database', 'file'] as const)('by %s is refused when it is taken', async (source) => {
    const port = await freePort();
    const { tried, notes, error } = await attempt({ port: null, configured: port, source, takenUpTo: port });
    expect({ tried, notes }).toEqual({ tried: [port], notes: [] });
    expect(error).toMatchObject({ code: 'PROXY_PORT_IN_USE', meta: { port } });
  });

  test('is refused when it is taken, and its owner is named: an engine', async () => {
    const engine = await startFake('llamacpp');
    const { tried, notes, error } = await attempt({ port: engine.port, takenUpTo: 65_535 });
    await engine.close();
    expect({ tried, notes }).toEqual({ tried: [engine.port], notes: [] });
    expect(error).toMatchObject({
      code: 'PROXY_PORT_IN_USE',
      message: `Port ${engine.port} on 127.0.0.1 is taken by an engine (llama.cpp).`,
    });
  });

  test('… another FLM', async () => {
    await using other = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => Response.json({ status: 'ok' }, { headers: { server: 'flm' } }),
    });
    const { error } = await attempt({ port: other.port ?? 0, takenUpTo: 65_535 });
    expect(error).toMatchObject({ meta: { by: 'another FLM' } });
  });

  test('… a program that says nothing', async () => {
    const silent = Bun.listen({ port: 0, hostname: '127.0.0.1', socket: { data() {} } });
    const { error } = await attempt({ port: silent.port, takenUpTo: 65_535 });
    silent.stop(true);
    expect(error).toMatchObject({ meta: { by: 'another program' } });
  });

  test('an error that is not about the port is not mistaken for one', async () => {
    const refused = new FlmError('EXPOSURE_REFUSED', { meta: { bind: '0.0.0.0', address: '8.8.8.8' } });
    const app = {
      egress,
      config: { current: () => ({ 'proxy.port': 8080 }), get: async () => ({ source: 'default' as const }) },
      serve: async () => {
        throw refused;
      },
    };
    const place = {
      port: null,
      bind: '0.0.0.0',
      allowPlaintext: false,
      mode: 'local-http',
      httpsPort: null,
    } as const;
    const serving = serveOnFreePort(app, { note() {} }, place);
    expect(serving).rejects.toBe(refused);
  });
});
