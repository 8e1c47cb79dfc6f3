/**
 * Sends requests one after the other and prints what came of each. A process of its own, because the authorities that
 * are trusted are read when a process starts.
 */
import { EgressError, type Transport } from '../../src/egress';
import { directTransport } from '../../src/egress/direct';
import { systemClock } from '../../src/lib/clock';
import { type TunnelFixture, tunnelFixture } from './tunnel';

interface Job {
  readonly url: string;
  /** Through this SOCKS server instead of straight. */
  readonly socks?: string;
  readonly tlsName?: string;
  readonly how?: 'whole' | 'pieces' | 'piped';
}

const direct = directTransport(systemClock);
const fixtures: TunnelFixture[] = [];
const outcomes: string[] = [];
for (const job of (await Bun.stdin.json()) as readonly Job[]) outcomes.push(await run(job));
console.log(JSON.stringify(outcomes));
direct.close();
for (const fixture of fixtures) fixture[Symbol.dispose]();

function wayOut(socks: string | undefined): Pick<Transport, 'send'> {
  if (socks === undefined) return direct;
  const fixture = tunnelFixture({ 'egress.mode': 'socks5', 'egress.socks5_endpoint': socks });
  fixtures.push(fixture);
  return fixture.egress;
}

async function run({ url, tlsName, socks, how = 'whole' }: Job): Promise<string> {
  try {
    const name = tlsName === undefined ? {} : { tlsName };
    const request = { url, method: 'GET', headers: {}, body: null, signal: null, ...name } as const;
    const { body } = await wayOut(socks).send(request);
    if (how === 'whole') return text(await body.bytes());
    const pieces: Uint8Array[] = [];
    if (how === 'pieces') {
      const reader = body.reader();
      for (let piece = await reader.read(); piece !== null; piece = await reader.read()) pieces.push(piece);
    } else {
      await new Promise<void>((resolve, reject) => {
        body.pipe({
          onData(bytes) {
            if (url.endsWith('/throw')) throw new Error('a bug');
            pieces.push(bytes);
          },
          onEnd: resolve,
          onError: reject,
        });
      });
    }
    return text(Buffer.concat(pieces));
  } catch (error) {
    return error instanceof EgressError ? error.kind : error instanceof Error ? error.message : String(error);
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
