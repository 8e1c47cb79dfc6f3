/**
 * nikto (Debian, non-free: `apt-get install nikto`) against the executable, through a reverse proxy that tells who it is:
 * banned within 20 requests, while a valid key from the same address is served.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import type { AddressStanding } from '../../src/security';
import { dataOf, leftovers, type RunningFlm, startFlm } from '../support/executable';
import { testHome } from '../support/home';
import { isMissing, lacksProgram } from '../support/missing';

setDefaultTimeout(180_000);

const IP = '198.51.100.88';
const home = testHome({ FLM_PROXY_TRUSTED_PROXIES: '127.0.0.1' });
let running: RunningFlm;

beforeAll(async () => {
  running = await startFlm(home.env);
  const on = { enabled: true };
  const policy = { ip_blocklist: on, intrusion_detection: on, anomaly_detection: on };
  const words = ['security', 'policy', 'set', '--json', JSON.stringify(policy), '--format', 'json'];
  await dataOf(home.env, words);
});

afterAll(async () => {
  await running.stop('SIGKILL');
  home[Symbol.dispose]();
  expect(leftovers()).toEqual([]);
});

test.skipIf(isMissing('nikto against FLM', lacksProgram('nikto')))(
  'nikto is banned within 20 requests; a valid key passes',
  async () => {
    const answers: number[] = [];
    await using front = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      async fetch(request) {
        // nikto speaks HTTP/1.0 at times, without a Host.
        const url = new URL(request.url, running.url);
        const headers = new Headers(request.headers);
        headers.set('x-forwarded-for', IP);
        headers.set('host', 'localhost');
        const { method } = request;
        const body = method === 'GET' || method === 'HEAD' ? null : await request.arrayBuffer();
        const init = { method, headers, body, redirect: 'manual' } as const;
        const answer = await fetch(`${running.url}${url.pathname}${url.search}`, init).catch(() => null);
        // What this proxy cannot send on, FLM does not see.
        if (answer === null) return new Response(null, { status: 502 });
        answers.push(answer.status);
        return new Response(await answer.arrayBuffer(), { status: answer.status });
      },
    });
    const scan = Bun.spawn(
      ['nikto', '-host', '127.0.0.1', '-port', String(front.port), '-nointeractive', '-maxtime', '20s'],
      { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore', env: { ...process.env, HOME: home.dir } },
    );
    await scan.exited;
    expect(answers.length).toBeGreaterThan(100);
    const first = answers.indexOf(403);
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThanOrEqual(20);
    // Nothing but refusals from then on: of the address, or of methods that no route has.
    expect(answers.slice(first).filter((status) => status !== 403 && status !== 405)).toEqual([]);
    console.log(`nikto: ${answers.length} requests, banned at request ${first + 1}`);
    const standing = (await dataOf(home.env, ['security', 'ip-blocklist', 'show', IP])) as AddressStanding;
    expect(standing.blocked).toMatchObject({ automatic: true });
    const headers = { 'x-forwarded-for': IP, authorization: `Bearer ${running.key}` };
    expect((await fetch(`${running.url}/v1/models`, { headers })).status).toBe(200);
  },
);
