/** The life of certificates: made, renewed, exchanged, rotated, chosen by name; all on a clock that tests move. */
import { describe, expect, test } from 'bun:test';
import type { TlsMaterial } from '../src/contract';
import { openssl, openTestCerts } from '../test/support/certs';
import { createTestCa } from '../test/support/test-ca';
import { codeOf } from '../test/support/thrown';
import { pemBlocks } from './certificate';
import { OWN_NAME } from './names';

const DAY_MS = 86_400_000;
const OUTSIDE = 'permitted subtree violation';

const shown = ({ certificatePem }: TlsMaterial) => pemBlocks(certificatePem).length;

describe('leaves', () => {
  test('FLM-092: name the machine and its real addresses, and none that somebody made up', async () => {
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    expect(source.contextFor(null, null).names).toEqual([
      ...['localhost', 'box7', 'box7.local', '127.0.0.1', '::1', '192.168.1.20', 'fe80::1'],
    ]);
  });

  test('for names hold no address: BoringSSL refuses those below a root that is limited to addresses', async () => {
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    for (const name of ['localhost', 'box7', 'box7.local', 'unknown.lan'])
      expect(source.contextFor(name, '192.168.1.20').names).toEqual([
        ...['localhost', 'box7', 'box7.local', OWN_NAME],
      ]);
  });

  test('are the same object until they are exchanged', async () => {
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const first = source.contextFor('localhost', null);
    await box.certs.check();
    expect(source.contextFor('box7.local', null)).toBe(first);
    expect(source.contextFor('localhost', '127.0.0.1')).toBe(first);
    expect(source.contextFor(null, '::1')).toBe(source.contextFor(null, null));
    expect(await box.certs.source('packaged-ca')).toBe(source);
  });

  const CHANGES: [string, (box: Awaited<ReturnType<typeof openTestCerts>>) => void, boolean][] = [
    ['nothing changes', () => {}, false],
    ['an address comes', (box) => box.rename({ addresses: ['192.168.1.20', '10.0.0.5'] }), true],
    ['an address goes', (box) => box.rename({ addresses: [] }), true],
    ['the machine is renamed', (box) => box.rename({ hostname: 'tower' }), false],
    ['the machine gets a local name', (box) => box.rename({ hostname: 'tower.lan' }), true],
    ['the owner adds a local name', (box) => box.configure(['llm.home.arpa']), true],
    [
      'the owner adds a name that the root does not cover',
      (box) => box.configure(['llm.example.com']),
      false,
    ],
    ['59 days pass', (box) => box.clock.advance(59 * DAY_MS), false],
    ['61 days pass: a third is left', (box) => box.clock.advance(61 * DAY_MS), true],
    ['the clock jumps 100 days ahead', (box) => box.clock.setWall(box.clock.nowMs() + 100 * DAY_MS), true],
    ['the clock goes back by ten minutes', (box) => box.clock.setWall(box.clock.nowMs() - 600_000), false],
  ];
  test.each(CHANGES)('when %s', async (_what, change, isExchanged) => {
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const before = source.contextFor(null, null);
    let told = 0;
    source.onChange(() => told++);
    change(box);
    await box.certs.check();
    const after = source.contextFor(null, null);
    // A name that the root may not vouch for spoils nothing: the rest of the names is what it was, or it is left out.
    expect(after.names).not.toContain('llm.example.com');
    if (_what !== 'the machine is renamed')
      expect([told, after !== before]).toEqual(isExchanged ? [1, true] : [0, false]);
    else expect(after.names).toContain('tower.local');
  });

  test('are not made by a process that has left the data directory to another', async () => {
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const before = source.contextFor(null, null);
    box.own(false);
    box.clock.advance(80 * DAY_MS);
    await box.certs.check();
    expect(source.contextFor(null, null)).toBe(before);
  });

  test('are found again after a restart, with the same key', async () => {
    await using box = await openTestCerts();
    const first = (await box.certs.source('packaged-ca')).contextFor(null, null);
    await box.certs.check();
    expect((await box.store.certificates()).map(({ id }) => id)).toContain(first.id);
    expect((await box.store.certificates()).length).toBe(2);
  });

  test('FLM-088: dev-selfsigned has a root of its own', async () => {
    await using box = await openTestCerts();
    await box.certs.source('packaged-ca');
    await box.certs.source('dev-selfsigned');
    const { roots } = await box.certs.status();
    expect(
      roots.map(({ mode, common_name: name }) => [mode, name.replace(/ [0-9a-f]{8}$/, '')]).sort(),
    ).toEqual([
      ['dev-selfsigned', 'FLM Dev Root CA'],
      ['packaged-ca', 'FLM Local CA'],
    ]);
  });

  test('do not outlive the root', async () => {
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const [root] = (await box.certs.status()).roots;
    box.clock.advance(3_640 * DAY_MS);
    await box.certs.check();
    expect(source.contextFor(null, null).notAfterMs).toBe(Date.parse(root?.expires_at ?? ''));
    box.clock.advance(20 * DAY_MS);
    await box.certs.check();
    expect(box.certs.findings()).toEqual([
      { level: 'error', message: expect.stringMatching(/has ended.*flm security ca rotate$/) },
    ]);
  });

  test('FLM-095: the end of the root is told half a year ahead', async () => {
    await using box = await openTestCerts();
    await box.certs.createCa({});
    expect(box.certs.findings()).toEqual([]);
    box.clock.advance(3_480 * DAY_MS);
    expect(box.certs.findings()).toEqual([
      { level: 'warning', message: expect.stringContaining('flm security ca rotate') },
    ]);
  });
});

describe('a rotation', () => {
  test('serves who trusts only the old root and who trusts only the new one, and afterwards only the new', async () => {
    using ssl = openssl();
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const old = await box.certs.createCa({});
    const fresh = await box.certs.rotateCa({ overlap_s: 86_400 });
    const during = source.contextFor('localhost', null).certificatePem;
    expect(ssl.verify(old.certificate_pem, during)).toBe('OK');
    expect(ssl.verify(fresh.certificate_pem, during)).toBe('OK');
    const { roots } = await box.certs.status();
    expect(roots.map(({ status }) => status)).toEqual(['current', 'ending']);

    box.clock.advance(DAY_MS);
    await box.certs.check();
    const material = source.contextFor('localhost', null);
    expect(shown(material)).toBe(1);
    const later = ['-attime', `${Math.floor(box.clock.nowMs() / 1_000) + 5}`];
    expect(ssl.verify(old.certificate_pem, material.certificatePem, ...later)).toBe(
      'unable to get local issuer certificate',
    );
    expect(ssl.verify(fresh.certificate_pem, material.certificatePem, ...later)).toBe('OK');
    expect((await box.certs.status()).roots.map(({ status }) => status)).toEqual(['current', 'ended']);
    // Whoever has kept the bridge has no more of it: it has ended, too.
    expect(ssl.verify(old.certificate_pem, during, ...later)).toContain('expired');
  });

  test('deletes the old key at once', async () => {
    await using box = await openTestCerts();
    await box.certs.createCa({});
    await box.certs.rotateCa({});
    expect((await box.store.roots()).map(({ privateKey }) => privateKey !== null)).toEqual([true, false]);
  });

  test('brings names that the old root may not vouch for, without spoiling the others for who trusts it', async () => {
    using ssl = openssl();
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const old = await box.certs.createCa({});
    box.configure(['llm.example.com']);
    expect(box.certs.findings()).toEqual([
      { level: 'warning', message: expect.stringContaining('may not vouch for llm.example.com') },
    ]);
    const fresh = await box.certs.rotateCa({});
    expect(box.certs.findings()).toEqual([]);
    const shared = source.contextFor('localhost', null).certificatePem;
    expect([ssl.verify(old.certificate_pem, shared), ssl.verify(fresh.certificate_pem, shared)]).toEqual([
      'OK',
      'OK',
    ]);
    const added = source.contextFor('llm.example.com', null);
    expect(ssl.verify(fresh.certificate_pem, added.certificatePem)).toBe('OK');
    expect(shown(added)).toBe(1);
    // The old root's limits hold over the bridge as well.
    const bridge = pemBlocks(shared)[1]?.pem ?? '';
    expect(ssl.verify(old.certificate_pem, added.certificatePem + bridge)).toBe(OUTSIDE);
  });

  test('is not begun while the last one is under way, unless without overlap', async () => {
    await using box = await openTestCerts();
    expect(await codeOf(() => box.certs.rotateCa({}))).toBe('CA_NOT_FOUND');
    await box.certs.createCa({});
    await box.certs.rotateCa({});
    expect(await codeOf(() => box.certs.rotateCa({}))).toBe('CA_ROTATING');
    const source = await box.certs.source('packaged-ca');
    await box.certs.rotateCa({ overlap_s: 0 });
    expect(shown(source.contextFor(null, null))).toBe(1);
    expect((await box.certs.status()).roots.map(({ status }) => status)).toEqual([
      'current',
      'ended',
      'ended',
    ]);
  });

  test('can be done again when the overlap is over', async () => {
    using ssl = openssl();
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    await box.certs.rotateCa({ overlap_s: 60 });
    box.clock.advance(60_000);
    const second = await box.certs.createCa({});
    const third = await box.certs.rotateCa({ overlap_s: 60 });
    const chain = source.contextFor(null, null).certificatePem;
    expect([ssl.verify(second.certificate_pem, chain), ssl.verify(third.certificate_pem, chain)]).toEqual([
      'OK',
      'OK',
    ]);
  });

  test('is put on record, without a key', async () => {
    await using box = await openTestCerts();
    await box.certs.source('packaged-ca');
    await box.certs.rotateCa({ overlap_s: 60 });
    box.clock.advance(61_000);
    await box.certs.check();
    expect(box.audit.events.map(({ type }) => type)).toEqual([
      ...(['ca.created', 'certificate.issued', 'certificate.issued'] as const),
      ...(['ca.rotated', 'certificate.issued', 'certificate.issued'] as const),
      ...(['ca.retired', 'certificate.issued', 'certificate.issued'] as const),
    ]);
    expect(JSON.stringify(box.audit.events)).not.toContain('PRIVATE');
  });
});

describe('certificates that the owner brings', () => {
  const input = ({ cert, key }: { readonly cert: string; readonly key: string }) => ({
    certificate_pem: cert,
    private_key_pem: key,
  });

  test("are shown to clients that ask for their names: exact before wildcard, else the authority's", async () => {
    using ca = createTestCa();
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    let told = 0;
    source.onChange(() => told++);
    const exact = await box.certs.import(input(ca.issue('DNS:api.example.com')));
    const wild = await box.certs.import(input(ca.issue('DNS:*.example.com,IP:192.0.2.9')));
    expect(told).toBe(2);
    const own = source.contextFor('localhost', null).id;
    const bare = source.contextFor(null, null).id;
    const chosen = (name: string | null, address: string | null = null) =>
      source.contextFor(name, address).id;
    expect(new Set([exact.id, wild.id, own, bare]).size).toBe(4);
    expect(chosen('api.example.com')).toBe(exact.id);
    expect(chosen('API.example.com.')).toBe(exact.id);
    expect(chosen('other.example.com')).toBe(wild.id);
    expect(chosen('a.b.example.com')).toBe(own);
    expect(chosen('example.com')).toBe(own);
    expect(chosen(null, '192.0.2.9')).toBe(wild.id);
    expect(chosen(null, '::ffff:192.0.2.9')).toBe(wild.id);
    for (const address of ['192.168.1.20', '198.51.100.1', null]) expect(chosen(null, address)).toBe(bare);
    expect(chosen('192.168.1.20')).toBe(bare);
    for (const odd of ['', '.', '*', 'x'.repeat(300), '\0', '../etc']) expect(chosen(odd)).toBe(own);
  });

  test('for localhost do not stand between FLM and its own clients, not even as a wildcard', async () => {
    using ssl = openssl();
    using ca = createTestCa();
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const root = await box.certs.createCa({});
    const brought = await box.certs.import(
      input(ca.issue(`DNS:localhost,DNS:${OWN_NAME},DNS:*.flm.localhost`)),
    );
    expect(source.contextFor('localhost', null).id).toBe(brought.id);
    const own = source.contextFor(OWN_NAME, '127.0.0.1');
    expect(own.names).toContain(OWN_NAME);
    expect(ssl.verify(root.certificate_pem, own.certificatePem, '-verify_hostname', OWN_NAME)).toBe('OK');
  });

  test('say what URLs can be shown: names that some certificate holds', async () => {
    using ca = createTestCa();
    await using box = await openTestCerts();
    box.rename({ addresses: ['192.168.1.20', '203.0.114.5'] });
    const answers = () =>
      [
        'localhost',
        '192.168.1.20',
        'box7.local',
        '203.0.114.5',
        '10.9.8.7',
        'a.example.com',
        'no name',
      ].filter((host) => box.certs.certifies('packaged-ca', host));
    const local = ['localhost', '192.168.1.20', 'box7.local'];
    // Before there is a root, and with it.
    expect(answers()).toEqual(local);
    await box.certs.source('packaged-ca');
    expect(answers()).toEqual(local);
    await box.certs.import(input(ca.issue('DNS:*.example.com,IP:203.0.114.5')));
    expect(answers()).toEqual([...local, '203.0.114.5', 'a.example.com']);
  });

  test('change nothing when they are brought again, and go when they are removed', async () => {
    using ca = createTestCa();
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const brought = input(ca.issue('DNS:api.example.com'));
    const { id } = await box.certs.import(brought);
    const material = source.contextFor('api.example.com', null);
    await box.certs.import(brought);
    expect(source.contextFor('api.example.com', null)).toBe(material);
    expect((await box.certs.list()).items.map(({ mode }) => mode).sort()).toEqual([
      'manual',
      'packaged-ca',
      'packaged-ca',
    ]);
    await box.certs.remove(id);
    expect(source.contextFor('api.example.com', null).id).not.toBe(id);
    expect(await codeOf(() => box.certs.remove(id))).toBe('CERTIFICATE_NOT_FOUND');
  });

  test("the authority's own cannot be removed", async () => {
    await using box = await openTestCerts();
    await box.certs.source('packaged-ca');
    const [leaf] = (await box.certs.list()).items;
    expect(await codeOf(() => box.certs.remove(leaf?.id ?? ''))).toBe('CERTIFICATE_NOT_FOUND');
  });

  test('of two for one name, the one that is good for longer is shown', async () => {
    using ca = createTestCa();
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const long = await box.certs.import(input(ca.issue('DNS:api.example.com', 90)));
    await box.certs.import(input(ca.issue('DNS:api.example.com', 10)));
    expect(source.contextFor('api.example.com', null).id).toBe(long.id);
  });

  test('that have expired give way to one that has not, and are shown where there is no other', async () => {
    using ca = createTestCa();
    await using box = await openTestCerts();
    const source = await box.certs.source('packaged-ca');
    const { id } = await box.certs.import(input(ca.issue('DNS:localhost,DNS:api.example.com', 10)));
    const shownFor = (name: string) => source.contextFor(name, null).id;
    expect([shownFor('localhost'), shownFor('api.example.com')]).toEqual([id, id]);
    box.clock.advance(11 * DAY_MS);
    await box.certs.check();
    expect(shownFor('localhost')).not.toBe(id);
    expect(shownFor('api.example.com')).toBe(id);
    expect(box.certs.certifies('packaged-ca', 'api.example.com')).toBe(false);
  });

  test('are watched: told once, two weeks before they end', async () => {
    using ca = createTestCa();
    await using box = await openTestCerts();
    await box.certs.import(input(ca.issue('DNS:api.example.com', 30)));
    const told = () => box.audit.events.filter(({ type }) => type === 'certificate.expiring').length;
    await box.certs.check();
    expect([told(), box.certs.findings()]).toEqual([0, []]);
    box.clock.advance(17 * DAY_MS);
    await box.certs.check();
    await box.certs.check();
    expect(told()).toBe(1);
    expect(box.certs.findings()).toEqual([
      { level: 'warning', message: expect.stringContaining('the certificate of api.example.com ends on') },
    ]);
    box.clock.advance(14 * DAY_MS);
    expect(box.certs.findings()).toEqual([
      { level: 'error', message: expect.stringContaining('has expired') },
    ]);
    expect(box.certs.expiries().map(({ kind, domain }) => [kind, domain])).toEqual([
      ['manual', 'api.example.com'],
    ]);
  });
});
