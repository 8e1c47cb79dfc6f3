/** The source as a TLS listener uses it: names by SNI, contexts kept by certificate, and a swap that loses no handshake. */
import { expect, test } from 'bun:test';
import { connect, createSecureContext, createServer, type SecureContext, type TLSSocket } from 'node:tls';
import type { TlsContextSource, TlsMaterial } from '../src/contract';
import { openTestCerts } from '../test/support/certs';
import { createTestCa } from '../test/support/test-ca';

async function listen(source: TlsContextSource) {
  const kept = new WeakMap<TlsMaterial, SecureContext>();
  let made = 0;
  const contextOf = (material: TlsMaterial): SecureContext => {
    const context =
      kept.get(material) ??
      createSecureContext({
        cert: material.certificatePem,
        key: material.privateKeyPem,
        minVersion: 'TLSv1.2',
      });
    if (!kept.has(material)) made++;
    kept.set(material, context);
    return context;
  };
  const first = source.contextFor(null, null);
  const server = createServer(
    {
      cert: first.certificatePem,
      key: first.privateKeyPem,
      SNICallback: (name, done) => done(null, contextOf(source.contextFor(name, null))),
    },
    (socket) => socket.end('ok'),
  );
  const stop = source.onChange(() => {
    const { certificatePem: cert, privateKeyPem: key } = source.contextFor(null, null);
    server.setSecureContext({ cert, key });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    made: () => made,
    async [Symbol.asyncDispose]() {
      stop();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The fingerprint that a client is shown, which trusts `ca`. */
function shake(port: number, servername: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect(
      { port, host: '127.0.0.1', servername, ca, ALPNProtocols: ['http/1.1'] },
      () => {
        const { fingerprint256 } = socket.getPeerCertificate();
        socket.end();
        resolve(fingerprint256.replaceAll(':', '').toLowerCase());
      },
    );
    socket.on('error', reject);
  });
}

test('a listener shows each name its certificate, and after a swap the next one, without one that fails', async () => {
  using ca = createTestCa();
  await using box = await openTestCerts();
  const source = await box.certs.source('packaged-ca');
  const root = (await box.certs.createCa({})).certificate_pem;
  const { cert, key } = ca.issue('DNS:llm.example.com');
  const brought = await box.certs.import({ certificate_pem: cert, private_key_pem: key });
  const authority = await Bun.file(ca.caFile).text();
  await using server = await listen(source);
  expect(await shake(server.port, 'llm.example.com', authority)).toBe(brought.id);

  const seen = new Set<string>();
  for (let swap = 0; swap < 5; swap++) {
    const shakes = Array.from({ length: 20 }, () => shake(server.port, 'localhost', root));
    box.configure([`swap${swap}.lan`]);
    await box.certs.check();
    for (const id of await Promise.all(shakes)) seen.add(id);
    expect(await shake(server.port, 'localhost', root)).toBe(source.contextFor('localhost', null).id);
  }
  expect(seen.size).toBeGreaterThan(1);
  // A context costs a millisecond: one for each certificate, not one for each handshake.
  expect(server.made()).toBeLessThanOrEqual(7);
}, 30_000);

test('is told by itself when an address or the clock has changed', async () => {
  await using box = await openTestCerts();
  const source = await box.certs.source('packaged-ca');
  const next = () => new Promise<void>((resolve) => void source.onChange(resolve));
  for (const change of [
    () => box.rename({ addresses: ['10.0.0.9'] }),
    () => box.clock.setWall(box.clock.nowMs() + 70 * 86_400_000),
  ]) {
    const changed = next();
    const before = source.contextFor(null, null);
    change();
    box.certs.look();
    await changed;
    expect(source.contextFor(null, null)).not.toBe(before);
  }
});
