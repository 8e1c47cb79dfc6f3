/** Whose certificates are accepted, with authorities, lists and certificates that openssl made. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ClientTrust } from '../../src/contract';
import { type ManualClock, manualClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import { type Openssl, openssl } from '../../test/support/certs';
import { type ClientCa, type ClientIdentity, createClientCa } from '../../test/support/client-ca';
import { eventually } from '../../test/support/eventually';
import { errorOf } from '../../test/support/thrown';
import { openClientTrust } from '.';

const DAY_MS = 86_400_000;

let ca: ClientCa;
let tool: Openssl;
let clock: ManualClock;
let revoked: readonly string[];
let errors: string[];
let warnings: string[];
const open: (Disposable | ClientTrust)[] = [];

beforeEach(() => {
  ca = createClientCa();
  tool = openssl();
  clock = manualClock(Date.now());
  revoked = [];
  errors = [];
  warnings = [];
  open.push(ca, tool);
});
afterEach(() => {
  for (const each of open.splice(0).reverse()) 'close' in each ? each.close() : each[Symbol.dispose]();
});

async function trusting(authorities: string, lists: string | null = null): Promise<ClientTrust> {
  const trust = await openClientTrust({
    authoritiesFile: tool.file('clients.pem', authorities),
    revocationFile: lists === null ? null : tool.file('lists.pem', lists),
    revoked: () => revoked,
    clock,
    log: {
      ...silentLog,
      error: (message) => void errors.push(message),
      warn: (message) => void warnings.push(message),
    },
    lookMs: 5,
  });
  open.push(trust);
  return trust;
}

/** As somebody does who does not want it to be read half written. */
function replace(name: string, text: string): void {
  const written = tool.file(`${name}.new`, text);
  renameSync(written, join(dirname(written), name));
}

const show = (trust: ClientTrust, { certPem }: ClientIdentity) =>
  trust.verify(new X509Certificate(certPem).raw);
const reasonOf = async (trust: ClientTrust, identity: ClientIdentity) => {
  const { code, meta } = await errorOf(async () => show(trust, identity));
  expect(code).toBe('CLIENT_CERTIFICATE_REFUSED');
  return meta.reason;
};

describe('a certificate', () => {
  test('is told by its fingerprint, its subject, its names and its end', async () => {
    const laptop = ca.issue('laptop');
    const shown = show(await trusting(ca.pem), laptop);
    expect(shown).toMatchObject({
      fingerprint: laptop.fingerprint,
      subject: 'CN=laptop',
      names: ['DNS:laptop'],
    });
    expect(Math.abs(shown.notAfterMs - (clock.nowMs() + 2 * DAY_MS))).toBeLessThan(60_000);
  });

  test('is good in its time alone, also when that ends on an open connection', async () => {
    const trust = await trusting(ca.pem);
    expect(await reasonOf(trust, ca.issue('later', { from: 1 }))).toBe('it is not valid yet');
    expect(await reasonOf(trust, ca.issue('before', { from: -3, until: -1 }))).toBe('it has expired');
    const shown = show(trust, ca.issue('laptop', { until: 1 }));
    expect(trust.objectionTo(shown)).toBeNull();
    clock.advance(2 * DAY_MS);
    expect(trust.objectionTo(shown)).toBe('it has expired');
  });

  test('that the owner names is not accepted any more, from that moment on', async () => {
    const trust = await trusting(ca.pem);
    const [lost, kept] = [ca.issue('lost'), ca.issue('kept')];
    const [shown, other] = [show(trust, lost), show(trust, kept)];
    const told = Promise.withResolvers<void>();
    trust.onChange(told.resolve);
    revoked = [lost.fingerprint];
    expect([trust.objectionTo(shown), trust.objectionTo(other)]).toEqual(['it is revoked', null]);
    expect(await reasonOf(trust, lost)).toBe('it is revoked');
    await told.promise;
  });
});

describe('a revocation list', () => {
  test('refuses what it holds, also when it comes later', async () => {
    const [lost, kept] = [ca.issue('lost'), ca.issue('kept')];
    const trust = await trusting(ca.pem, ca.list());
    const [shown, other] = [show(trust, lost), show(trust, kept)];
    const told = Promise.withResolvers<void>();
    trust.onChange(told.resolve);
    ca.revoke(lost);
    replace('lists.pem', ca.list());
    await told.promise;
    expect([trust.objectionTo(shown), trust.objectionTo(other)]).toEqual(['it is revoked', null]);
    expect(await reasonOf(trust, lost)).toBe('it is revoked');
    expect(show(trust, kept).fingerprint).toBe(kept.fingerprint);
  });

  test('that has run out, or is not there, lets nobody in', async () => {
    using other = createClientCa('Others');
    const trust = await trusting(ca.pem + other.pem, ca.list(1));
    expect(show(trust, ca.issue('laptop')).subject).toBe('CN=laptop');
    expect(await reasonOf(trust, other.issue('desktop'))).toBe(
      'there is no revocation list of its authority',
    );
    clock.advance(1.5 * DAY_MS);
    expect(await reasonOf(trust, ca.issue('laptop'))).toBe(
      'the revocation list of its authority is out of date',
    );
  });

  test('that is about to run out is told of, once', async () => {
    const trust = await trusting(ca.pem, ca.list(3));
    const readAgain = async (days: number): Promise<void> => {
      const told = Promise.withResolvers<void>();
      trust.onChange(told.resolve);
      replace('lists.pem', ca.list(days));
      await told.promise;
    };
    await readAgain(4);
    expect(warnings).toEqual([]);
    clock.advance(3.5 * DAY_MS);
    await eventually(() => warnings.length > 0);
    await readAgain(30);
    expect(warnings).toEqual([expect.stringContaining('runs out')]);
  });

  test('of a root refuses what an authority below it has issued, once that one is revoked', async () => {
    const below = ca.below('Below');
    const laptop = below.issue('laptop');
    const trust = await trusting(ca.pem + below.pem, ca.list() + below.list());
    const shown = show(trust, laptop);
    ca.revoke({ cert: tool.file('below.pem', below.pem) });
    replace('lists.pem', ca.list() + below.list());
    await eventually(() => trust.objectionTo(shown) !== null);
    expect(trust.objectionTo(shown)).toBe('it is revoked');
  });

  test('of an authority between that nobody has named here is missing', async () => {
    const trust = await trusting(ca.pem, ca.list());
    expect(await reasonOf(trust, ca.below('Below').issue('laptop'))).toBe(
      'there is no revocation list of its authority',
    );
  });

  test('by somebody else, or of changes only, is not taken', async () => {
    using other = createClientCa();
    const reason = async (list: string) => (await errorOf(() => trusting(ca.pem, list))).message;
    // The same name, another key.
    expect(await reason(other.list())).toContain('signed by none of the client authorities');
    expect(await reason('nothing')).toContain('there is no revocation list in it');
    expect(await reason(ca.list().replace(/\n[A-Za-z0-9+/]{64}\n/, '\n'))).toContain('list 1 in it');
  });
});

describe('files', () => {
  test('that cannot be used are named, and why', async () => {
    const laptop = ca.issue('laptop');
    const reason = async (text: string) => (await errorOf(() => trusting(text))).message;
    expect(await reason('')).toContain('clients.pem: there is no certificate in it');
    expect(await reason(laptop.certPem)).toContain('is not the certificate of an authority');
    expect(await reason(ca.pem.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n'))).toContain('certificate 1 in it');
    const error = await errorOf(() =>
      openClientTrust({
        authoritiesFile: '/nowhere/clients.pem',
        revocationFile: null,
        revoked: () => [],
        clock,
        log: silentLog,
      }),
    );
    expect([error.code, error.message]).toEqual([
      'PROXY_INVALID_CONFIG',
      expect.stringContaining('/nowhere/clients.pem'),
    ]);
  });

  test('are read again: whoever came by an authority that is gone is not let go on', async () => {
    using other = createClientCa('Others');
    const trust = await trusting(ca.pem);
    const shown = show(trust, ca.issue('laptop'));
    replace('clients.pem', other.pem);
    await eventually(() => trust.authoritiesPem() === other.pem);
    expect(trust.objectionTo(shown)).toBe('other authorities count since it was shown');
    expect(show(trust, other.issue('desktop')).subject).toBe('CN=desktop');
  });

  test('that are broken later change nothing until they are whole', async () => {
    using other = createClientCa('Others');
    const trust = await trusting(ca.pem);
    const shown = show(trust, ca.issue('laptop'));
    writeFileSync(tool.file('clients.pem', 'half'), 'half');
    await eventually(() => errors.length > 0);
    expect(trust.objectionTo(shown)).toBeNull();
    replace('clients.pem', other.pem);
    await eventually(() => trust.objectionTo(shown) !== null);
    expect(errors).toEqual(['client certificates are held against what was read before']);
  });
});
