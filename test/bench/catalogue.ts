/** Many engines with many models: how soon the list of all is there, and what looking after them costs. */
import { join } from 'node:path';
import { type FlmForm, prepareFlm, startFlm } from './flm';
import type { Goal } from './goals';
import { waitForOk } from './ports';
import { cpuSeconds, processTree } from './proc';
import type { Service, Stage } from './stage';
import { percentile, type Spread, spreadOf } from './stats';

const ENGINES = 20;
const MODELS = 200;
/** What a start leaves behind is not what idling costs. */
const SETTLE_MS = 3_000;
/** Half of the models are on every engine and listed once. */
const LISTED = MODELS / 2 + (ENGINES * MODELS) / 2;

export interface CatalogueOptions {
  readonly form: FlmForm;
  readonly requests: number;
  readonly idleSeconds: number;
  readonly say: (text: string) => void;
}

export interface CatalogueFigures {
  readonly listMs: Spread | null;
  readonly listP99Ms: Spread | null;
  /** Percent of one core that looking after the engines takes while nobody asks anything. */
  readonly idlePercent: Spread | null;
  /** The same of an FLM without engines; what the figure above is more than. */
  readonly alonePercent: Spread | null;
}

export async function benchCatalogue(stage: Stage, options: CatalogueOptions): Promise<CatalogueFigures> {
  const { form, requests, idleSeconds, say } = options;
  say('catalogue');
  const engines = stage.start([
    process.execPath,
    join(import.meta.dir, 'many-engines.ts'),
    String(ENGINES),
    String(MODELS),
  ]);
  const ports = (await engines.firstLine()).split(' ').map(Number);
  const flm = await prepareFlm(stage, form, ports, { FLM_ENGINE_DETECT: 'false' });
  const { service, port } = startFlm(stage, flm);
  const url = `http://127.0.0.1:${port}`;
  await waitForOk(`${url}/ready`, service);

  const ask = async () => {
    const answer = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${flm.key}` } });
    const { data } = (await answer.json()) as { data: unknown[] };
    if (data.length !== LISTED) throw new Error(`${data.length} models are listed, not ${LISTED}`);
  };
  const raw = async () => {
    const answer = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${flm.key}` } });
    await answer.arrayBuffer();
  };
  await ask();
  for (let warmup = 0; warmup < 50; warmup++) await raw();
  const times: number[] = [];
  for (let request = 0; request < requests; request++) {
    const startedMs = performance.now();
    await raw();
    times.push(performance.now() - startedMs);
  }
  times.sort((a, b) => a - b);

  const idlePercent = await idleShare(service, idleSeconds);
  await service.stop();
  await engines.stop();
  const alone = startFlm(stage, await prepareFlm(stage, form, [], { FLM_ENGINE_DETECT: 'false' }));
  await waitForOk(`http://127.0.0.1:${alone.port}/health`, alone.service);
  const alonePercent = await idleShare(alone.service, idleSeconds);
  await alone.service.stop();
  return {
    listMs: spreadOf([percentile(times, 0.5)]),
    listP99Ms: spreadOf([percentile(times, 0.99)]),
    idlePercent: spreadOf([idlePercent - alonePercent]),
    alonePercent: spreadOf([alonePercent]),
  };
}

/** Percent of one core that a process takes while nobody asks it anything. */
async function idleShare({ pid }: Service, seconds: number): Promise<number> {
  await Bun.sleep(SETTLE_MS);
  const pids = processTree(pid);
  const before = cpuSeconds(pids);
  await Bun.sleep(seconds * 1_000);
  return ((cpuSeconds(pids) - before) / seconds) * 100;
}

export function catalogueGoals({ listMs, idlePercent, alonePercent }: CatalogueFigures): Goal[] {
  const goal = (
    name: string,
    limit: number,
    unit: string,
    seen: Spread | null,
    reference: Spread | null = null,
  ): Goal => ({
    name,
    limit,
    unit,
    digits: 2,
    seen,
    reference,
  });
  return [
    goal(`/v1/models p50, ${ENGINES} engines × ${MODELS} models`, 2, 'ms', listMs),
    goal('looking after them, of one core (right: FLM without any)', 1, '%', idlePercent, alonePercent),
  ];
}
