/**
 * Asks the engines' parsers what they make of the bodies, and writes test/golden/json/verdicts.json. By hand, after a body
 * was added: `bun test/contract/json/record.ts`. Needs Go, Python with orjson and pydantic, and the trial engine.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRecord, parseJson } from '../../../src/lib/json';
import { startTrialEngine } from '../../real/trial-engine';
import { BODIES } from './bodies';
import { type Meaning, nameOf, readAsFlm } from './read';

type Verdicts = Record<string, Meaning | null>;

async function bodiesSent(): Promise<ReadonlyMap<string, Buffer>> {
  const sent = new Map<string, Buffer>();
  for (const [, body] of BODIES) {
    for (const framing of ['length', 'chunks'] as const) {
      for (const { bytes } of (await readAsFlm(body, framing)) ?? []) sent.set(nameOf(bytes), bytes);
    }
  }
  return sent;
}

async function run(command: readonly string[], bodies: readonly Buffer[]): Promise<readonly unknown[]> {
  const lines = bodies.map((bytes) => `${bytes.toString('hex')}\n`).join('');
  const child = Bun.spawn([...command], { stdin: Buffer.from(lines), stdout: 'pipe', stderr: 'inherit' });
  const out = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(' ')} failed`);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

/** llama.cpp does not say which model it was asked for; whether it streams, and counts, can be seen. */
async function askLlamaCpp(bodies: readonly Buffer[]): Promise<readonly (Meaning | null)[]> {
  const engine = await startTrialEngine();
  const verdicts: (Meaning | null)[] = [];
  for (const body of bodies) {
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Uint8Array(body),
    };
    const response = await fetch(`${engine.baseUrl}/v1/chat/completions`, request);
    const text = await response.text();
    const stream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    const usage = stream && text.split('\n').some((line) => isUsage(line.slice('data: '.length)));
    verdicts.push(response.ok ? { model: null, stream, usage } : null);
  }
  await engine.stop();
  return verdicts;
}

function isUsage(data: string): boolean {
  const event = parseJson(data);
  return isRecord(event) && isRecord(event.usage);
}

const sent = await bodiesSent();
const bodies = [...sent.values()];
const dir = mkdtempSync(join(tmpdir(), 'flm-json-'));
const built = join(dir, 'parse');
await Bun.spawn(['go', 'build', '-o', built, join(import.meta.dir, 'parse.go')]).exited;
const go = await run([built], bodies);
rmSync(dir, { recursive: true });
const python = await run(['python3', join(import.meta.dir, 'parse.py')], bodies);
const llamacpp = await askLlamaCpp(bodies);
const verdicts: Record<string, Verdicts> = {};
[...sent.keys()].forEach((name, at) => {
  verdicts[name] = { go: go[at], ...(python[at] as Verdicts), llamacpp: llamacpp[at] ?? null } as Verdicts;
});
const lines = Object.entries(verdicts).map(
  ([name, each]) => `  ${JSON.stringify(name)}: ${JSON.stringify(each)}`,
);
await Bun.write(
  join(import.meta.dir, '../../golden/json/verdicts.json'),
  `{\n${lines.sort().join(',\n')}\n}\n`,
);
console.log(`${lines.length} bodies`);
