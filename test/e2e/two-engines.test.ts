/**
 * Two engines with the same model under load, one of which is killed and comes back (issue #4, point 2): nobody notices
 * who had not been sent anything yet, the catalogue follows within ten seconds, and everything mends itself.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { type FakeEngine, startFake } from '../fake';
import { chat, eventsOf } from '../support/client';
import type { TestDir } from '../support/data-dir';
import { eventually } from '../support/eventually';
import { dataOf, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { freePort } from '../support/ports';

setDefaultTimeout(60_000);

const MODEL = 'shared-model';
const CLIENTS = 12;
const SEEN_WITHIN_MS = 10_000;

let home: TestDir;
let running: RunningFlm;
let ports: readonly [number, number];
let one: FakeEngine;
let two: FakeEngine;

const start = (port: number) =>
  startFake('vllm', { port, models: [MODEL], tokens: 12, tokenDelayMs: 5, slots: 8 });

beforeAll(async () => {
  home = testHome();
  ports = [await freePort(), await freePort()];
  [one, two] = [await start(ports[0]), await start(ports[1])];
  for (const [id, fake] of [
    ['one', one],
    ['two', two],
  ] as const)
    await dataOf(home.env, ['engines', 'add', '--url', fake.url, '--id', id, '--slots', '8']);
  running = await startFlm(home.env);
});
afterAll(async () => {
  expect(await running.stop()).toBe(0);
  await Promise.all([one.close(), two.close()]);
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

interface Tally {
  done: number;
  /** Streams that broke after their first event: they say so, and have no [DONE]. */
  broken: number;
  /** Requests that were refused although nothing had been sent. */
  readonly refused: string[];
}

/** Asks again and again, streamed and not, until it is told to stop. */
function load(): { readonly tally: Tally; stop(): Promise<void> } {
  const tally: Tally = { done: 0, broken: 0, refused: [] };
  let over = false;
  async function ask(stream: boolean): Promise<void> {
    while (!over) {
      const response = await chat(running.url, { key: running.key, model: MODEL, stream }).catch(() => null);
      if (response === null) return;
      if (response.status !== 200) {
        tally.refused.push(`${response.status} ${await response.text()}`);
        continue;
      }
      if (!stream) {
        await response.json();
        tally.done++;
        continue;
      }
      const { events } = await eventsOf(response);
      if (events.at(-1) === '[DONE]') tally.done++;
      else {
        expect(events.at(-1)).toContain('"error"');
        tally.broken++;
      }
    }
  }
  const clients = Array.from({ length: CLIENTS }, (_, n) => ask(n % 2 === 0));
  return {
    tally,
    async stop() {
      over = true;
      await Promise.all(clients);
    },
  };
}

async function statusOf(id: string): Promise<string> {
  const { items } = (await dataOf(home.env, ['engines', 'list'])) as {
    items: { id: string; status: { status: string } }[];
  };
  return items.find((engine) => engine.id === id)?.status.status ?? 'not there';
}

test('both engines work, one dies, nobody who had nothing yet notices, and it comes back by itself', async () => {
  const { tally, stop } = load();
  await eventually(() => tally.done > 60);
  expect([one.served() > 10, two.served() > 10]).toEqual([true, true]);

  await one.close();
  const diedMs = performance.now();
  await eventually(async () => (await statusOf('one')) === 'error-network', SEEN_WITHIN_MS, 50);
  const goneAfterMs = performance.now() - diedMs;
  const { done, broken } = tally;
  await eventually(() => tally.done > done + 60);

  one = await start(ports[0]);
  const backMs = performance.now();
  await eventually(async () => (await statusOf('one')) === 'running-healthy', SEEN_WITHIN_MS, 50);
  const backAfterMs = performance.now() - backMs;
  await eventually(() => one.served() > 20);
  await stop();

  console.log(
    `      seen gone after ${goneAfterMs.toFixed(0)} ms, back after ${backAfterMs.toFixed(0)} ms; ` +
      `${tally.done} answers, ${broken} streams broken in the middle, ${tally.refused.length} refused`,
  );
  expect(tally.refused).toEqual([]);
  // Only those that the dead engine was in the middle of.
  expect(tally.broken).toBeLessThanOrEqual(CLIENTS / 2);
});

test('the history tells it', async () => {
  const history = (await dataOf(home.env, [
    'engines',
    'health-history',
    '--engine',
    'one',
    '--limit',
    '1000',
  ])) as {
    items: { engine_id: string; model_id: string | null; status: string; requests: number }[];
    summary: { total: number; unreachable: number };
  };
  const looks = history.items.filter(({ model_id }) => model_id === null).map(({ status }) => status);
  // Newest first: well, gone, well again.
  expect(looks.filter((status, index) => status !== looks[index - 1])).toEqual([
    'healthy',
    'unreachable',
    'healthy',
  ]);
  const asked = history.items.filter(({ model_id }) => model_id === MODEL);
  expect(asked.reduce((sum, { requests }) => sum + requests, 0)).toBeGreaterThan(30);
  expect(history.summary.total).toBe(history.items.length);
});
