/** Requests framed to be misread, at the admin port: none is worked on, none gives 5xx, and nobody waits for nothing. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { freePort } from '../support/ports';
import { CASES } from './smuggling/cases';
import { type Gateway, startGateway } from './support/gateway';
import { connectRaw } from './support/raw';
import { CHAT } from './support/routes';

/** As long as the path that the cases ask for, so that lengths which include it stay what they are. */
const KEYS = '/api/v1/././././keys';
const BODY = '{"label":"framed"}';

let gateway: Gateway;
let port: number;
let auth: string;
beforeAll(async () => {
  port = await freePort();
  gateway = await startGateway({ env: { FLM_ADMIN_PORT: String(port) } });
  const { token } = await gateway.app.sessions.issueToken();
  const { secret } = await gateway.app.sessions.open(token, { ip: null, userAgent: null });
  auth = `Authorization: Bearer ${secret}`;
});
afterAll(() => gateway[Symbol.asyncDispose]());

test('the session is good, and the path is that of keys', async () => {
  const url = `http://127.0.0.1:${port}${KEYS}`;
  const headers = { authorization: auth.slice('Authorization: '.length), 'content-type': 'application/json' };
  expect((await fetch(url, { method: 'POST', headers, body: BODY })).status).toBe(200);
});

test.each(CASES.map((each) => [each.name, each] as const))('%s', async (_, { wire, after }) => {
  const before = (await gateway.app.keys.list()).items.length;
  const client = await connectRaw(`http://127.0.0.1:${port}`);
  const statuses = () =>
    [
      ...client
        .received()
        .toString('latin1')
        .matchAll(/HTTP\/1\.1 (\d{3})/g),
    ].map(([, status]) => Number(status));
  try {
    client.send(Buffer.from(wire(auth, BODY).replaceAll(CHAT, KEYS), 'latin1'));
    const isOver = () => client.ended() || statuses().some((status) => status >= 200);
    if (after !== 'waits') await client.until(isOver);
    client.halfClose();
    await client.until(client.ended);
  } finally {
    client.close();
  }
  // 505 is the runtime's, before FLM sees anything.
  expect(statuses().filter((status) => status >= 500 && status !== 505)).toEqual([]);
  // Their Host is that of a proxy, and never that of this port.
  expect(statuses().filter((status) => status === 200 || status === 201)).toEqual([]);
  expect((await gateway.app.keys.list()).items).toHaveLength(before);
});
