/** The page at /swagger: works without a network, under its policy, and with the session that its link opens. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { type AdminPortFlm, startWithAdminPort } from '../support/admin-port';
import { dataOf } from '../support/executable';
import { isMissing } from '../support/missing';

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'];
const browser = BROWSERS.map((name) => Bun.which(name)).find((path) => path !== null) ?? null;
const TIMEOUT_MS = 30_000;
/** How much time the page is given, on a clock that runs ahead while it waits. */
const PAGE_MS = 15_000;

let flm: AdminPortFlm;

beforeAll(async () => {
  flm = await startWithAdminPort();
});

afterAll(() => flm[Symbol.asyncDispose]());

test('is made of files that FLM has itself, and may load nothing else', async () => {
  const page = await fetch(`${flm.base}/swagger`);
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe-inline/);
  const html = await page.text();
  const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link ?? '');
  expect(links.filter((link) => !link.startsWith('/swagger/') && link !== 'data:,')).toEqual([]);
  for (const link of links.filter((one) => one.startsWith('/'))) {
    const response = await fetch(`${flm.base}${link}`);
    expect([link, response.status, (await response.text()).length > 500]).toEqual([link, 200, true]);
  }
  expect((await fetch(`${flm.base}/swagger/nothing`)).status).toBe(401);
});

test.skipIf(
  isMissing('the page at /swagger in a browser', browser === null ? 'chromium is not installed' : null),
)(
  'shows the operations without a network, and opens the session of its link',
  async () => {
    const words = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      `--user-data-dir=${join(flm.home.dir, 'browser')}`,
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      '--enable-logging=stderr',
      `--virtual-time-budget=${PAGE_MS}`,
      '--dump-dom',
      `${flm.base}/swagger#token=${await flm.token()}`,
    ];
    const child = Bun.spawn([browser ?? '', ...words], {
      env: { PATH: process.env.PATH, HOME: flm.home.dir },
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [dom, log] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect(await child.exited).toBe(0);
    for (const words of ['List all API keys', 'Examine this installation']) expect(dom).toContain(words);
    expect(log.split('\n').filter((line) => /CONSOLE|violates|Refused to/i.test(line))).toEqual([]);
    expect(await dataOf(flm.home.env, ['admin', 'sessions', 'list'])).toMatchObject({
      items: [{ user_agent: expect.stringContaining('Chrome') }],
    });
  },
  TIMEOUT_MS,
);
