import { describe, expect, test } from 'bun:test';
import { isMissing, lacksProgram } from '../../test/support/missing';
import { listenTcp } from '../../test/support/tcp';
import { createTestCa } from '../../test/support/test-ca';
import { listenTls } from '../../test/support/tls';
import { CancelSource } from '../lib/cancel';
import { systemClock } from '../lib/clock';
import { directTransport } from './direct';
import { EgressError, type EgressFailure, translateFailure } from './errors';

const NO_SUCH_NAME = `${'a'.repeat(64)}.invalid`;

/** How a GET fails, for real. */
async function failureOf(url: string, unixSocket?: string): Promise<EgressError> {
  const transport = directTransport(systemClock);
  try {
    const more = unixSocket === undefined ? {} : { unixSocket };
    const { body } = await transport.send({
      url,
      method: 'GET',
      headers: {},
      body: null,
      signal: null,
      ...more,
    });
    await body.bytes();
  } catch (error) {
    if (error instanceof EgressError) return error;
    throw error;
  } finally {
    transport.close();
  }
  throw new Error('it did not fail');
}

describe('failures as they happen', () => {
  for (const scheme of ['http', 'https']) {
    test(`${scheme}: nobody listens`, async () => {
      const server = await listenTcp(() => {});
      await server[Symbol.asyncDispose]();
      expect((await failureOf(`${scheme}://127.0.0.1:${server.port}/`)).kind).toBe('refused');
      expect((await failureOf(`${scheme}://localhost:${server.port}/`)).kind).toBe('refused');
    });

    test(`${scheme}: no such name`, async () => {
      expect((await failureOf(`${scheme}://${NO_SUCH_NAME}/`)).kind).toBe('unreachable');
    });

    test(`${scheme}: the other side leaves`, async () => {
      for (const leave of ['end', 'resetAndDestroy'] as const) {
        await using server = await listenTcp((socket) => socket.once('data', () => socket[leave]()));
        expect((await failureOf(`${scheme}://127.0.0.1:${server.port}/`)).kind).toBe('closed');
      }
    });
  }

  test('http: what answers is not HTTP', async () => {
    for (const text of ['garbage\r\n\r\n', 'SSH-2.0-x\r\n', 'HTTP/2 200\r\n\r\n']) {
      await using server = await listenTcp((socket) => socket.once('data', () => socket.write(text)));
      expect((await failureOf(`${server.url}/`)).kind).toBe('malformed');
    }
  });

  test('http: no socket, and a file that is none', async () => {
    expect((await failureOf('http://x/', '/nonexistent/flm.sock')).kind).toBe('refused');
    expect((await failureOf('http://x/', import.meta.path)).kind).toBe('refused');
  });

  test('https: what answers does not speak TLS', async () => {
    await using server = await listenTcp((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'));
    });
    const failure = await failureOf(`https://127.0.0.1:${server.port}/`);
    expect(failure.kind).toBe('tls');
    expect(failure.message).not.toContain('certificate');
  });
});

describe.skipIf(isMissing('failures of TLS', lacksProgram('openssl')))('certificates', () => {
  test('that nobody vouches for, that vouch for themselves, that have expired', async () => {
    using ca = createTestCa();
    const names = 'DNS:localhost,IP:127.0.0.1';
    for (const [certificate, code] of [
      [ca.issue(names), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      [ca.selfSigned(names), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
      [ca.issue(names, -1), 'CERT_HAS_EXPIRED'],
    ] as const) {
      let requests = 0;
      await using server = await listenTls(certificate, () => void requests++);
      const failure = await failureOf(`https://127.0.0.1:${server.port}/`);
      expect(failure.kind).toBe('tls');
      expect(failure.message).toContain(code);
      // Nothing is said to a stranger, the credential least of all.
      expect(requests).toBe(0);
    }
  });

  test('http: a server that wants TLS', async () => {
    using ca = createTestCa();
    await using server = await listenTls(ca.selfSigned('DNS:localhost'), () => {});
    expect(['malformed', 'closed']).toContain((await failureOf(`http://127.0.0.1:${server.port}/`)).kind);
  });
});

describe('translateFailure', () => {
  const codes: [code: string, kind: EgressFailure][] = [
    ['ConnectionRefused', 'refused'],
    ['ECONNREFUSED', 'refused'],
    ['ENOENT', 'refused'],
    ['FailedToOpenSocket', 'unreachable'],
    ['ENOTFOUND', 'unreachable'],
    ['EAI_AGAIN', 'unreachable'],
    ['ETIMEOUT', 'unreachable'],
    ['EHOSTUNREACH', 'unreachable'],
    ['ENETUNREACH', 'unreachable'],
    ['ECONNRESET', 'closed'],
    ['ConnectionClosed', 'closed'],
    ['EPIPE', 'closed'],
    ['Malformed_HTTP_Response', 'malformed'],
    ['InvalidHTTPResponse', 'malformed'],
    ['ETIMEDOUT', 'timeout'],
    ['EPROTO', 'tls'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'tls'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls'],
    ['CERT_NOT_YET_VALID', 'tls'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls'],
    ['HOSTNAME_MISMATCH', 'tls'],
    ['INVALID_CA', 'tls'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls'],
    ['EMFILE', 'other'],
  ];

  test.each(codes)('%s is %s', (code, kind) => {
    const cause = Object.assign(new Error('as the runtime says it'), { code });
    const failure = translateFailure(cause, null);
    expect(failure).toBeInstanceOf(EgressError);
    expect(failure).toMatchObject({ kind, cause });
  });

  test.each([
    ['a text', 'boom'],
    ['nothing', undefined],
    ['an error without a code', new Error('boom')],
    ['an error whose code is a number', Object.assign(new Error('boom'), { code: 20 })],
    ['a code that every object has', Object.assign(new Error('boom'), { code: 'constructor' })],
  ])('%s is other', (_name, error) => {
    expect(translateFailure(error, null)).toMatchObject({ kind: 'other' });
  });

  test('keeps what is translated already', () => {
    const failure = new EgressError('closed', 'gone');
    expect(translateFailure(failure, null)).toBe(failure);
  });

  test('gives the reason of an aborted signal, whatever broke because of it', () => {
    const cancel = new CancelSource();
    expect(translateFailure('x', cancel)).toBeInstanceOf(EgressError);
    cancel.abort('left');
    expect(translateFailure(new EgressError('closed', 'gone'), cancel)).toBe('left');
    expect(translateFailure('x', AbortSignal.abort('left'))).toBe('left');
  });
});
