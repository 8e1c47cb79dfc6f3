/**
 * Sends requests one after the other and prints what came of each. A process of its own, because the authorities that
 * are trusted are read when a process starts.
 */
import { EgressError } from '../../src/egress';
import { directTransport } from '../../src/egress/direct';
import { systemClock } from '../../src/lib/clock';

interface Job {
  readonly url: string;
  readonly tlsName?: string;
  readonly how?: 'whole' | 'pieces' | 'piped';
}

const transport = directTransport(systemClock);
const outcomes: string[] = [];
for (const job of (await Bun.stdin.json()) as readonly Job[]) outcomes.push(await run(job));
console.log(JSON.stringify(outcomes));

async function run({ url, tlsName, how = 'whole' }: Job): Promise<string> {
  try {
    const name = tlsName === undefined ? {} : { tlsName };
    const request = { url, method: 'GET', headers: {}, body: null, signal: null, ...name } as const;
    const { body } = await transport.send(request);
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
