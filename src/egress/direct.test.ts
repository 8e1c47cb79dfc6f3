import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { FAULTS, type FaultKind, startFake } from '../../test/fake';
import { isMissing, lacksProgram } from '../../test/support/missing';
import { createTestCa } from '../../test/support/test-ca';
import { listenTls } from '../../test/support/tls';
import type { Cancel } from '../contract';
import { systemClock } from '../lib/clock';
import { directTransport } from './direct';
import { EgressError, translateFailure } from './errors';

/** How long to wait for what never comes, and for what does. */
const STALL_MS = 150;
const PATIENCE_MS = 10_000;

/** What comes of a request: status and bytes, or why not; `cut` when it never came to an end. */
type Way = (url: string, body: string, signal: Cancel) => Promise<string>;

const summary = (status: number, bytes: Uint8Array): string => `ok ${status} ${Bun.hash(bytes).toString(36)}`;

const byFetch: Way = async (url, body, signal) => {
  const response = await fetch(url, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body },
    ...{ signal: signal as AbortSignal, redirect: 'manual', decompress: false },
  });
  return summary(response.status, await response.bytes());
};

async function outcomeOf(way: Way, url: string, body: string, patienceMs: number): Promise<string> {
  const signal = AbortSignal.timeout(patienceMs);
  try {
    return await way(url, body, signal);
  } catch (error) {
    const failure = translateFailure(error, signal);
    if (failure === signal.reason) return 'cut';
    if (failure instanceof EgressError) return failure.kind;
    throw failure;
  }
}

describe('every way an engine can fail', () => {
  /** What is to come of a whole answer and of a stream; where it is not named: the answer, byte for byte. */
  const EXPECTED: Partial<Record<FaultKind, string>> = {
    'stall-before-headers': 'cut',
    'stall-before-first-token': 'cut',
    'never-close': 'cut',
    'die-before-headers': 'closed',
    'die-mid-stream': 'closed',
    'reset-mid-stream': 'closed',
    'die-mid-frame': 'closed',
    'wrong-content-length': 'closed',
    garbage: 'malformed',
  };

  for (const kind of ['llamacpp', 'openai'] as const) {
    test(`${kind}: whole, in pieces and piped it comes to the same, and to what fetch makes of it`, async () => {
      const fake = await startFake(kind, { models: ['m'] });
      const transport = directTransport(systemClock);
      const send = (url: string, body: string, signal: Cancel) =>
        transport.send({
          url,
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
          signal,
        });
      const ways: Record<string, Way> = {
        fetch: byFetch,
        async whole(...request) {
          const response = await send(...request);
          return summary(response.status, await response.body.bytes());
        },
        async pieces(...request) {
          const response = await send(...request);
          const reader = response.body.reader();
          const pieces: Uint8Array[] = [];
          for (let piece = await reader.read(); piece !== null; piece = await reader.read())
            pieces.push(piece);
          return summary(response.status, Buffer.concat(pieces));
        },
        async piped(...request) {
          const response = await send(...request);
          const pieces: Uint8Array[] = [];
          await new Promise<void>((resolve, reject) => {
            response.body.pipe({
              onData: (bytes) => void pieces.push(bytes),
              onEnd: resolve,
              onError: reject,
            });
          });
          return summary(response.status, Buffer.concat(pieces));
        },
      };
      try {
        for (const name of Object.keys(FAULTS) as FaultKind[]) {
          fake.setFault(name === 'slow' ? { kind: 'slow', delayMs: 20 } : FAULTS[name]);
          const outcomes = await Promise.all(
            [false, true].flatMap((stream) => {
              const body = JSON.stringify({
                model: 'm',
                stream,
                messages: [{ role: 'user', content: 'hi' }],
              });
              return Object.entries(ways).map(async ([way, run]) => {
                const patienceMs = EXPECTED[name] === 'cut' ? STALL_MS : PATIENCE_MS;
                const outcome = await outcomeOf(run, `${fake.url}/v1/chat/completions`, body, patienceMs);
                return { name, stream, way, outcome };
              });
            }),
          );
          for (const { stream, way, outcome } of outcomes) {
            const fetched = outcomes.find((each) => each.stream === stream && each.way === 'fetch')?.outcome;
            expect({ name, way, stream, outcome }).toEqual({ name, way, stream, outcome: fetched ?? '' });
            expect(outcome.split(' ')[0]).toBe(EXPECTED[name] ?? 'ok');
          }
        }
        expect(fake.busy()).toBe(0);
      } finally {
        transport.close();
        await fake.close();
      }
    });
  }
});

describe.skipIf(isMissing('engines on HTTPS', lacksProgram('openssl')))('HTTPS', () => {
  interface Job {
    readonly url: string;
    readonly tlsName?: string;
    readonly how?: 'whole' | 'pieces' | 'piped';
  }

  /** Sends requests one after the other, from a process that trusts the test authority. */
  async function outcomesOf(caFile: string, jobs: readonly Job[]): Promise<string[]> {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, '../../test/support/https-client.ts')], {
      env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: caFile },
      stdin: new Blob([JSON.stringify(jobs)]),
      stdout: 'pipe',
      stderr: 'inherit',
    });
    return JSON.parse(await new Response(child.stdout).text()) as string[];
  }

  const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

  test('is verified for the name, or the address, that was asked for', async () => {
    using ca = createTestCa();
    await using here = await listenTls(ca.issue('DNS:localhost,IP:127.0.0.1'), (socket) => socket.write(OK));
    await using named = await listenTls(ca.issue('DNS:example.test'), (socket) => socket.write(OK));
    const url = `https://127.0.0.1:${named.port}/`;
    expect(
      await outcomesOf(ca.caFile, [
        { url: `https://localhost:${here.port}/` },
        { url: `https://127.0.0.1:${here.port}/` },
        { url, tlsName: 'example.test' },
        // An open connection to that address must not serve under another name.
        { url, tlsName: 'other.test' },
        { url },
        { url, tlsName: 'example.test' },
      ]),
    ).toEqual(['ok', 'ok', 'ok', 'tls', 'tls', 'ok']);
  });

  test('ends as plain HTTP does, in every way of reading', async () => {
    using ca = createTestCa();
    const answers: Record<string, (socket: Parameters<Parameters<typeof listenTls>[1]>[0]) => void> = {
      '/ok': (socket) => void socket.write(OK),
      '/close': (socket) => void socket.end('HTTP/1.1 200 OK\r\n\r\nuntil close'),
      '/half': (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
      '/half-chunk': (socket) =>
        void socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf'),
      '/gone': (socket) => void socket.destroy(),
    };
    await using server = await listenTls(ca.issue('IP:127.0.0.1'), (socket, text) => {
      answers[text.split(' ')[1] ?? '']?.(socket);
    });
    for (const how of ['whole', 'pieces', 'piped'] as const) {
      const jobs = Object.keys(answers).map((path) => ({
        url: `https://127.0.0.1:${server.port}${path}`,
        how,
      }));
      expect(await outcomesOf(ca.caFile, jobs)).toEqual(['ok', 'until close', 'closed', 'closed', 'closed']);
    }
  });

  test('a sink that throws closes the connection and is told', async () => {
    using ca = createTestCa();
    const gone = Promise.withResolvers<void>();
    await using server = await listenTls(ca.issue('IP:127.0.0.1'), (socket) => {
      socket.on('close', () => gone.resolve());
      socket.write('HTTP/1.1 200 OK\r\n\r\nhello');
    });
    const url = `https://127.0.0.1:${server.port}/throw`;
    expect(await outcomesOf(ca.caFile, [{ url, how: 'piped' }])).toEqual(['a bug']);
    await gone.promise;
  });
});
