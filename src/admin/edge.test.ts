/** What becomes of requests under way when their session is over. */
import { expect, test } from 'bun:test';
import type { Principal } from '../contract';
import { silentLog } from '../lib/log';
import { createAdminEdge } from './edge';

/** An edge whose requests go on until they are aborted, and sessions that are open as long as the list says. */
function edgeWith(open: Set<string>) {
  const ended: string[] = [];
  let onClosed = (_id: string): void => {};
  const started = new Map<string, PromiseWithResolvers<void>>();
  const edge = createAdminEdge({
    async routes({ signal }, principal) {
      const id = principal?.id ?? '';
      started.get(id)?.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      ended.push(id);
      return new Response('over');
    },
    pages: async () => null,
    methodsAt: () => ['GET'],
    sessions: {
      identify: async (secret): Promise<Principal> => ({
        kind: 'owner',
        id: secret,
        label: secret,
        scopes: new Set(),
        models: null,
      }),
      onClosed(handle) {
        onClosed = handle;
      },
      list: async () => ({
        items: [...open].map((id) => ({
          id,
          ip: null,
          user_agent: null,
          created_at: '',
          last_used_at: '',
          expires_at: '',
        })),
        next: null,
      }),
    },
    idempotency: { start: async () => {}, sweep: async () => {}, run: async (_key, _change, work) => work() },
    log: silentLog,
  });
  async function follow(id: string): Promise<Promise<Response>[]> {
    const begun = Promise.withResolvers<void>();
    started.set(id, begun);
    const headers = { host: '127.0.0.1:7843', authorization: `Bearer ${id}` };
    const request = new Request('http://127.0.0.1:7843/api/v1/audit/events/stream', { headers });
    const answer = edge.fetch(request, { via: 'tcp', port: 7843, ip: '127.0.0.1' });
    await begun.promise;
    return [answer];
  }
  return { edge, follow, ended, close: (id: string) => onClosed(id) };
}

test('what a session follows ends when its time is over, and nothing of another', async () => {
  const open = new Set(['one', 'two']);
  const { edge, follow, ended, close } = edgeWith(open);
  const [one] = await follow('one');
  const [two] = await follow('two');
  await edge.endExpired();
  expect(ended).toEqual([]);
  open.delete('one');
  await edge.endExpired();
  expect(await (await one)?.text()).toBe('over');
  expect(ended).toEqual(['one']);
  close('two');
  expect(await (await two)?.text()).toBe('over');
});
