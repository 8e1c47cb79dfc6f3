/** A port that goes from one process to the next (Linux). Here both are this one, which the kernel does not mind. */
import { describe, expect, test } from 'bun:test';
import { createConnection } from 'node:net';
import { errorOf } from '../../test/support/thrown';
import { isShared } from './hand-on';
import { type Handler, listen } from './proxy';

const named = (name: string): Handler => ({ fetch: async () => new Response(name) });
const BIND = '127.0.0.1';
const atOnce = async () => {};
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

async function whoAnswers(port: number): Promise<string> {
  const response = await fetch(`http://${BIND}:${port}/`, { keepalive: false });
  return response.text();
}

describe.skipIf(process.platform !== 'linux')('a port that is handed on', () => {
  test('every new connection goes to whoever came later, however often', async () => {
    let old = listen({ bind: BIND, port: 0, handler: named('0'), tenancy: 'shareable' });
    const { port } = old;
    for (const name of ['1', '2', '3']) {
      const next = listen({ bind: BIND, port, handler: named(name), tenancy: 'shared' });
      const answers = await Promise.all(Array.from({ length: 50 }, () => whoAnswers(port)));
      expect(new Set(answers)).toEqual(new Set([name]));
      expect(old.leave()).toBe(true);
      expect(await whoAnswers(port)).toBe(name);
      await old.stop(atOnce, 0);
      old = next;
    }
    expect(await whoAnswers(port)).toBe('3');
    await old.stop(atOnce, 0);
  });

  test('an idle connection to the one that left is still served', async () => {
    const old = listen({ bind: BIND, port: 0, handler: named('old'), tenancy: 'shareable' });
    const heard: string[] = [];
    const answers = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const socket = createConnection(old.port, BIND, () => socket.write(REQUEST));
    socket.on('data', (data) => {
      heard.push(data.toString().slice(-3));
      answers[heard.length - 1]?.resolve();
    });
    await answers[0]?.promise;
    expect(old.leave()).toBe(true);
    // The port is free, for a listener that shares it with nobody.
    const next = listen({ bind: BIND, port: old.port, handler: named('new') });
    socket.write(REQUEST);
    await answers[1]?.promise;
    expect(heard).toEqual(['old', 'old']);
    socket.destroy();
    await old.stop(atOnce, 0);
    // Closing what is behind the number of the old socket took nothing from the new one.
    expect(await whoAnswers(next.port)).toBe('new');
    await next.stop(atOnce, 0);
  });

  test('a port that another process shares is refused, not shared', async () => {
    const script = `const s = Bun.serve({ hostname: '${BIND}', port: 0, reusePort: true, fetch: () => new Response() });
      console.log(s.port); await Bun.stdin.text(); process.exit();`;
    const other = Bun.spawn([process.execPath, '-e', script], { stdin: 'pipe', stdout: 'pipe' });
    const [line] = new TextDecoder().decode((await other.stdout.getReader().read()).value).split('\n');
    const port = Number(line);
    const error = await errorOf(() =>
      listen({ bind: BIND, port, handler: named('x'), tenancy: 'shareable' }),
    );
    expect([error.code, error.meta.port]).toEqual(['PROXY_PORT_IN_USE', port]);
    // As two would see it that looked at the same moment.
    const shared = listen({ bind: BIND, port, handler: named('x'), tenancy: 'shared' });
    expect(isShared(port)).toBe(true);
    await shared.stop(atOnce, 0);
    other.stdin.end();
    await other.exited;
    expect(isShared(port)).toBe(false);
  });
});
