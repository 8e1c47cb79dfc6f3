/**
 * `bun test/bench/slow-clients.ts [connections] [seconds]`: how an honest client fares beside many that are slow on
 * purpose, from as many addresses as it takes. FLM is the executable, on 0.0.0.0, where the protection is on by itself.
 * Linux; `ulimit -n` has to allow as many connections.
 */
import { join } from 'node:path';
import { BENCH_MODEL } from './answers';
import { flmFile, prepareFlm } from './flm';
import { freePort, waitForOk } from './ports';
import { cpuSeconds, processTree, residentBytes } from './proc';
import { Stage } from './stage';
import { percentile, Samples } from './stats';

const HERE = import.meta.dir;
const BASELINE_S = 30;
const PAUSE_MS = 5;
const ATTACKERS = 2;
const LOOK_MS = 2_000;
/** One in so many honest requests comes on a connection of its own. */
const FRESH_EVERY = 10;

interface Round {
  readonly latencies: Samples;
  failures: number;
}

/** Asks, waits, asks again, for as long as `lasts`. */
async function ask(url: string, key: string, seconds: number): Promise<Round> {
  const round: Round = { latencies: new Samples(), failures: 0 };
  const body = JSON.stringify({
    model: BENCH_MODEL,
    messages: [{ role: 'user', content: 'x'.repeat(1_800) }],
  });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const untilMs = performance.now() + seconds * 1_000;
  for (let count = 0; performance.now() < untilMs; count++) {
    const startedMs = performance.now();
    try {
      const keepalive = count % FRESH_EVERY !== 0;
      const signal = AbortSignal.timeout(10_000);
      const answer = await fetch(url, { method: 'POST', headers, body, keepalive, signal });
      await answer.text();
      if (answer.status !== 200) round.failures++;
    } catch {
      round.failures++;
    }
    round.latencies.add(performance.now() - startedMs);
    await Bun.sleep(PAUSE_MS);
  }
  return round;
}

function tell(name: string, { latencies, failures }: Round): void {
  const sorted = latencies.sorted();
  const ms = (share: number) => (percentile(sorted, share) ?? Number.NaN).toFixed(2);
  console.log(
    `${name}: ${latencies.count} requests, ${failures} failed, p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms, p99.9 ${ms(0.999)} ms, max ${ms(1)} ms`,
  );
}

async function main(connections: number, seconds: number): Promise<void> {
  await using ending = { stage: new Stage(), [Symbol.asyncDispose]: () => ending.stage.close() };
  const { stage } = ending;
  const engine = stage.start([process.execPath, join(HERE, 'engine.ts'), '20']);
  const flm = await prepareFlm(stage, 'executable', [Number(await engine.firstLine())]);
  const port = freePort();
  const service = stage.start(
    [flmFile('executable'), 'up', '--bind', '0.0.0.0', '--allow-plaintext', '--port', String(port), '--json'],
    flm.options,
  );
  const base = `http://127.0.0.1:${port}`;
  await waitForOk(`${base}/health`, service);
  const url = `${base}/v1/chat/completions`;
  const pids = () => processTree(service.pid);
  const look = async (): Promise<string> => {
    const text = await (await fetch(`${base}/metrics`)).text();
    const numbers = [...text.matchAll(/^flm_proxy_connections_(\w+?)(?:\{reason="(\w+)"\})? (\d+)$/gm)];
    const told = numbers.map(([, name, reason, value]) => `${reason ?? name} ${value}`).join(', ');
    const size = /^FDSize:\s+(\d+)/m.exec(await Bun.file(`/proc/${pids().at(-1)}/status`).text())?.[1];
    return `RSS ${(residentBytes(pids()) / 1e6).toFixed(0)} MB, ${told}, table of ${size} descriptors`;
  };

  const warm = await ask(url, flm.key, 3);
  if (warm.failures > 0) throw new Error('FLM does not answer as it should');
  const cpuBefore = cpuSeconds(pids());
  tell('alone  ', await ask(url, flm.key, BASELINE_S));
  console.log(`         CPU of FLM ${(cpuSeconds(pids()) - cpuBefore).toFixed(1)} s; ${await look()}`);

  const share = Math.ceil(connections / ATTACKERS);
  const attackers = Array.from({ length: ATTACKERS }, (_, i) =>
    stage.start([
      process.execPath,
      join(HERE, 'slow-attacker.ts'),
      String(port),
      String(i * share),
      String(share),
      flm.key,
    ]),
  );
  const cpuMiddle = cpuSeconds(pids());
  const attackersBefore = cpuSeconds(attackers.map(({ pid }) => pid));
  const timer = setInterval(() => void look().then((line) => console.log(`         ${line}`)), LOOK_MS * 5);
  const round = await ask(url, flm.key, seconds);
  clearInterval(timer);
  tell(`attacked`, round);
  const attackerCpu = cpuSeconds(attackers.map(({ pid }) => pid)) - attackersBefore;
  console.log(
    `         CPU of FLM ${(cpuSeconds(pids()) - cpuMiddle).toFixed(1)} s, of the attackers ${attackerCpu.toFixed(1)} s; ${await look()}`,
  );
  for (const attacker of attackers) await attacker.stop();
  await Bun.sleep(LOOK_MS);
  tell('after   ', await ask(url, flm.key, 5));
  console.log(`         ${await look()}`);
}

const [connections = 10_000, seconds = 120] = process.argv.slice(2).map(Number);
await main(connections, seconds);
