/**
 * Client certificates from the handshake to the key: openssl as the client, with certificates of every kind. What is not good
 * never reaches the gateway, is told why, and is not made good by resuming a session.
 */
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from 'bun:test';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { type ClientCa, type ClientIdentity, createClientCa } from '../support/client-ca';
import { eventually } from '../support/eventually';
import { type Gateway, startGateway } from './support/gateway';

setDefaultTimeout(30_000);

let ca: ClientCa;
let foreign: ClientCa;
let gateway: Gateway;
let port: number;
const listFile = join(tmpdir(), `flm-client-list-${process.pid}.pem`);
const sessionFile = join(tmpdir(), `flm-client-session-${process.pid}.pem`);

beforeAll(() => {
  ca = createClientCa();
  // The same name, another key.
  foreign = createClientCa();
});
afterAll(() => {
  ca[Symbol.dispose]();
  foreign[Symbol.dispose]();
});
beforeEach(async () => {
  writeFileSync(listFile, ca.list());
  await start('required');
});
afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
  for (const file of [listFile, sessionFile]) rmSync(file, { force: true });
});

async function start(
  demand: 'optional' | 'required',
  files: { caFile: string; crlFile: string | null } = { caFile: ca.file, crlFile: listFile },
): Promise<void> {
  const clientCertificates = { demand, ...files };
  gateway = await startGateway({ mode: 'packaged-ca', clients: { clientCertificates } });
  port = Number(new URL(gateway.url).port);
}

/** As start, with another demand than the one that each test begins with. */
async function restart(demand: 'optional' | 'required'): Promise<void> {
  await gateway[Symbol.asyncDispose]();
  await start(demand);
}

interface Talk {
  /** The status of the answer, and the code in it; null: no answer. */
  readonly status: number | null;
  readonly code: string | null;
  readonly text: string;
}

/** One request through openssl s_client, with what it is given to show. */
async function ask(who: ClientIdentity | null, ...words: readonly string[]): Promise<Talk> {
  const shown = who === null ? [] : ['-cert', who.cert, '-key', who.key, '-cert_chain', who.cert];
  const place = ['-connect', `127.0.0.1:${port}`, '-servername', 'localhost', '-ign_eof'];
  const child = Bun.spawn(['openssl', 's_client', ...place, ...shown, ...words], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [name, value] = gateway.auth;
  child.stdin.write(
    `GET /v1/models HTTP/1.1\r\nHost: localhost\r\n${name}: ${value}\r\nConnection: close\r\n\r\n`,
  );
  await child.stdin.flush();
  const text = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
  child.stdin.end();
  await child.exited;
  const status = /HTTP\/1\.1 (\d+)/.exec(text)?.[1];
  return {
    status: status === undefined ? null : Number(status),
    code: /"code":"([A-Za-z_]+)"/.exec(text)?.[1] ?? null,
    text,
  };
}

const VERSIONS = ['-tls1_2', '-tls1_3'] as const;
const REFUSED = 'CLIENT_CERTIFICATE_REFUSED';
const REQUIRED = 'CLIENT_CERTIFICATE_REQUIRED';

describe.each(VERSIONS)('openssl s_client %s', (version) => {
  const cases: readonly [string, () => ClientIdentity | null, string | null, string, string][] = [
    // what is shown, how it is made, where one is required: the code, and a word of the reason; where one is optional
    ['none', () => null, REQUIRED, '--cert', 'served'],
    ['a good one', () => ca.issue('good'), null, '', 'served'],
    [
      'one by an authority below',
      () => ca.below('Below').issue('deep'),
      REFUSED,
      'no revocation list',
      REFUSED,
    ],
    ['a foreign one', () => foreign.issue('good'), REFUSED, 'none of the authorities', REFUSED],
    ['an expired one', () => ca.issue('old', { from: -3, until: -1 }), REFUSED, 'expired', REFUSED],
    ['one of tomorrow', () => ca.issue('new', { from: 1 }), REFUSED, 'not valid yet', REFUSED],
    [
      'a server’s',
      () => ca.issue('server', { usage: 'serverAuth' }),
      REFUSED,
      'not meant for clients',
      REFUSED,
    ],
  ];

  test.each(cases)('shows %s', async (_, make, code, reason, optional) => {
    const who = make();
    const required = await ask(who, version);
    expect([required.status, required.code]).toEqual(code === null ? [200, null] : [403, code]);
    expect(required.text).toContain(reason);
    // Who is asked is told by whom the certificate has to be.
    expect(required.text).toContain('Acceptable client certificate CA names');
    const reached = gateway.account().finished.map(({ certificate }) => certificate);
    expect(reached).toEqual(code === null ? [who?.fingerprint ?? ''] : []);
    await restart('optional');
    const other = await ask(who, version);
    expect([other.status, other.code]).toEqual(optional === 'served' ? [200, null] : [403, REFUSED]);
  });

  test('a revoked one is refused, the next handshake on, and so is its session', async () => {
    const [lost, kept] = [ca.issue('lost'), ca.issue('kept')];
    expect((await ask(lost, version, '-sess_out', sessionFile)).status).toBe(200);
    const resumed = await ask(null, version, '-sess_in', sessionFile);
    expect(resumed.text).toContain('Reused, TLS');
    // Whoever resumes is who began.
    expect(resumed.status).toBe(200);
    expect(gateway.account().finished.map(({ certificate }) => certificate)).toEqual([
      lost.fingerprint,
      lost.fingerprint,
    ]);
    ca.revoke(lost);
    writeFileSync(listFile, ca.list());
    await eventually(async () => (await ask(lost, version)).code === REFUSED, 10_000, 200);
    const again = await ask(null, version, '-sess_in', sessionFile);
    expect([again.code, again.text.includes('it is revoked')]).toEqual([REFUSED, true]);
    expect((await ask(kept, version)).status).toBe(200);
  });

  test('a session that began with a bad one, or with none, is no better', async () => {
    const old = ca.issue('old', { from: -3, until: -1 });
    expect((await ask(old, version, '-sess_out', sessionFile)).code).toBe(REFUSED);
    expect((await ask(null, version, '-sess_in', sessionFile)).code).toBe(REFUSED);
    rmSync(sessionFile, { force: true });
    expect((await ask(null, version, '-sess_out', sessionFile)).code).toBe(REQUIRED);
    // It shows a good one now, but a session that is resumed asks for none.
    expect((await ask(ca.issue('good'), version, '-sess_in', sessionFile)).code).toBe(REQUIRED);
  });
});

test('with other authorities, those of before are strangers, and so are their sessions', async () => {
  const caFile = join(dirname(listFile), `flm-client-ca-${process.pid}.pem`);
  writeFileSync(caFile, ca.pem);
  await gateway[Symbol.asyncDispose]();
  await start('required', { caFile, crlFile: null });
  const [old, next] = [ca.issue('old'), foreign.issue('next')];
  for (const version of VERSIONS)
    expect((await ask(old, version, '-sess_out', `${sessionFile}${version}`)).status).toBe(200);
  expect((await ask(next)).code).toBe(REFUSED);
  writeFileSync(`${caFile}.new`, foreign.pem);
  renameSync(`${caFile}.new`, caFile);
  await eventually(async () => (await ask(next)).status === 200, 10_000, 200);
  expect((await ask(old)).code).toBe(REFUSED);
  for (const version of VERSIONS) {
    const resumed = await ask(null, version, '-sess_in', `${sessionFile}${version}`);
    expect([resumed.code, resumed.text.includes('Reused, TLS')]).toEqual([REQUIRED, false]);
    rmSync(`${sessionFile}${version}`);
  }
  rmSync(caFile);
});

test('what is said by headers is not looked at', async () => {
  const [mine, other] = [ca.issue('mine'), ca.issue('other')];
  await restart('optional');
  await gateway.app.keys.update(gateway.keyId, { client_certificates: [mine.fingerprint] });
  expect((await ask(mine)).status).toBe(200);
  for (const who of [other, null]) expect((await ask(who)).code).toBe('key_certificate_refused');
  const { roots } = await gateway.app.certs.status();
  const [name, value] = gateway.auth;
  const response = await fetch(`${gateway.url}/v1/models`, {
    tls: { ca: roots[0]?.certificate_pem ?? '' },
    headers: {
      [name]: value,
      'x-client-cert': encodeURIComponent(mine.certPem),
      'client-cert': `:${Buffer.from(mine.certPem).toString('base64')}:`,
      'x-forwarded-client-cert': `Hash=${mine.fingerprint}`,
      'ssl-client-verify': 'SUCCESS',
      'ssl-client-fingerprint': mine.fingerprint,
    },
  });
  expect(response.status).toBe(403);
});

test('a connection that is open is cut when its certificate is no longer wanted, in the middle of a stream', async () => {
  const [lost, kept] = [ca.issue('lost'), ca.issue('kept')];
  const engine = await gateway.addFake('llamacpp', { slots: 2, tokens: 10_000, tokenDelayMs: 20 });
  const streams = [lost, kept].map((who) => stream(who));
  await eventually(() => engine.busy() === 2);
  await gateway.app.config.set('proxy.revoked_client_certificates', lost.fingerprint);
  await eventually(() => engine.busy() === 1);
  expect(streams.map(({ destroyed }) => destroyed)).toEqual([true, false]);
  expect((await ask(lost)).code).toBe(REFUSED);
  for (const socket of streams) socket.destroy();
});

function stream({ certPem: cert, keyPem: key }: ClientIdentity): TLSSocket {
  const place = { port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false };
  const socket = connect({ ...place, cert, key });
  const message = { role: 'user', content: 'Hello' };
  const body = JSON.stringify({ model: 'smollm2-135m-instruct', stream: true, messages: [message] });
  const [name, value] = gateway.auth;
  const head = `Host: localhost\r\n${name}: ${value}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\n${head}\r\n\r\n${body}`);
  socket.on('error', () => {});
  socket.resume();
  return socket;
}

test('where nobody wants them, nobody is asked, so that no browser shows a choice', async () => {
  await gateway[Symbol.asyncDispose]();
  gateway = await startGateway({ mode: 'packaged-ca' });
  port = Number(new URL(gateway.url).port);
  const answer = await ask(ca.issue('good'));
  expect([answer.status, gateway.account().finished.map(({ certificate }) => certificate)]).toEqual([
    200,
    [null],
  ]);
  expect(answer.text).toContain('No client certificate CA names sent');
});
