/**
 * FLM as one that strangers can reach: every protection on and limits for everybody, beside the ceiling; and the same with
 * 10,000 keys, 10,000 bans and an allow-list of 200 networks, which should cost nothing more.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Flm, type FlmForm, flmRow, prepareFlm } from './flm';
import type { Goal } from './goals';
import { runLoad } from './load';
import { startScript, type Target } from './rows';
import type { Stage } from './stage';
import { type Spread, spreadOf } from './stats';
import { figure, formatTable } from './table';

const KEYS = 10_000;
const BANS = 10_000;
const ALLOWED = 200;
const CONNECTIONS = [1, 32] as const;
const ROWS = ['ceiling', 'exposed', 'crowded'] as const;

type RowName = (typeof ROWS)[number];

export interface ExposedOptions {
  readonly form: FlmForm;
  readonly rounds: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly say: (text: string) => void;
}

interface Run {
  readonly row: RowName;
  readonly connections: number;
  readonly round: number;
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly requestsPerS: number;
}

export interface ExposedFigures {
  readonly runs: readonly Run[];
  readonly goals: Goal[];
}

/** A policy with everything on, and limits that no load of ours reaches. */
function policyOf(allowed: readonly string[]): object {
  const on = { enabled: true };
  return {
    ip_whitelist: allowed,
    rate_limit: { rpm: 100_000_000, burst: 100_000_000 },
    token_limit: { tpm: 1_000_000_000 },
    global_rate_limit: { rpm: 100_000_000, burst: 100_000_000 },
    ip_rate_limit: on,
    ip_blocklist: on,
    intrusion_detection: on,
    anomaly_detection: on,
    resource_protection: on,
    connections: on,
  };
}

async function setPolicy(stage: Stage, flm: Flm, allowed: readonly string[]): Promise<void> {
  const file = join(stage.directory('policy'), 'policy.json');
  writeFileSync(file, JSON.stringify(policyOf(allowed)));
  await mustRun(stage, flm, [...flm.command, 'security', 'policy', 'set', '--file', file]);
}

async function crowd(stage: Stage, flm: Flm): Promise<void> {
  const dir = flm.options.env?.FLM_DATA_DIR ?? '';
  const script = join(import.meta.dir, 'crowd.ts');
  await mustRun(stage, flm, [process.execPath, script, dir, String(KEYS), String(BANS)]);
}

async function mustRun(stage: Stage, { options }: Flm, command: string[]): Promise<void> {
  const { stderr, exitCode } = await stage.run(command, options);
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: exit ${exitCode}: ${stderr.trim()}`);
}

/** Loopback is always let in; the others are nobody's. */
const CROWDED_LIST = Array.from({ length: ALLOWED }, (_, n) => `100.${64 + (n & 63)}.${n}.0/24`);

/** Runs ceiling, exposed, crowded, ceiling, … at each number of connections. */
export async function benchExposed(stage: Stage, options: ExposedOptions): Promise<ExposedFigures> {
  const { form, rounds, warmupMs, durationMs, say } = options;
  const engine = await startScript(stage, 'engine.ts', '20');
  const targets = new Map<RowName, { readonly target: Target; readonly authorization: string }>();
  const ceiling = await startScript(stage, 'ceiling.ts', `http://127.0.0.1:${engine.port}`);
  targets.set('ceiling', { target: ceiling, authorization: 'Bearer none' });
  for (const row of ['exposed', 'crowded'] as const) {
    const flm = await prepareFlm(stage, form, [engine.port], { FLM_ENGINE_DETECT: 'false' });
    if (row === 'crowded') await crowd(stage, flm);
    await setPolicy(stage, flm, row === 'crowded' ? CROWDED_LIST : []);
    const target = await flmRow(stage, flm).start();
    targets.set(row, { target, authorization: `Bearer ${flm.key}` });
  }
  const runs: Run[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const connections of CONNECTIONS) {
      for (const [row, { target, authorization }] of targets) {
        say(`exposed round ${round + 1}/${rounds} c=${connections} ${row}`);
        const [port, pids] = [target.port, target.pids()];
        const load = { kind: 'http', port, authorization, connections, warmupMs, durationMs, pids } as const;
        const { requests, seconds, cpuS, p50Ms, failed } = await runLoad(stage, load);
        if (p50Ms === null || Object.keys(failed).length > 0)
          throw new Error(`${row}: ${requests} requests, failed: ${JSON.stringify(failed)}`);
        const cpuUs = (cpuS * 1e6) / requests;
        runs.push({ row, connections, round, cpuUs, p50Ms, requestsPerS: requests / seconds });
      }
    }
  }
  for (const { target } of targets.values()) await target.stop();
  await engine.stop();
  return { runs, goals: goalsOf(runs) };
}

/** `read` of a row against that of another in the same round. */
function ratio(
  runs: readonly Run[],
  connections: number,
  [row, against]: readonly [RowName, RowName],
  read: (run: Run) => number,
): Spread | null {
  const at = runs.filter((run) => run.connections === connections);
  return spreadOf(
    at.flatMap((run) => {
      const other = at.find((peer) => peer.row === against && peer.round === run.round);
      return run.row === row && other !== undefined ? [read(run) / read(other)] : [];
    }),
  );
}

function goalsOf(runs: readonly Run[]): Goal[] {
  return CONNECTIONS.flatMap((connections): Goal[] => {
    const goal = (name: string, limit: number, seen: Spread | null): Goal => ({
      name: `${name}, c=${connections}`,
      limit,
      unit: '×',
      digits: 2,
      seen,
      reference: null,
    });
    const cpu = ratio(runs, connections, ['exposed', 'ceiling'], ({ cpuUs }) => cpuUs);
    const p50 = ratio(runs, connections, ['crowded', 'exposed'], ({ p50Ms }) => p50Ms);
    return [
      goal('CPU per request, everything on, against the ceiling', 1.8, cpu),
      goal(`p50 with ${KEYS.toLocaleString('en')} keys, as many bans, ${ALLOWED} networks`, 1.1, p50),
    ];
  });
}

export function exposedTable({ runs }: ExposedFigures): string {
  const head = ['everything on', 'requests/s', 'CPU µs', 'p50 ms'];
  return CONNECTIONS.map((connections) => {
    const lines = ROWS.map((row) => {
      const own = runs.filter((run) => run.row === row && run.connections === connections);
      const over = (read: (run: Run) => number) => spreadOf(own.map(read));
      return [
        row,
        figure(
          over(({ requestsPerS }) => requestsPerS),
          0,
        ),
        figure(
          over(({ cpuUs }) => cpuUs),
          1,
        ),
        figure(
          over(({ p50Ms }) => p50Ms),
          3,
        ),
      ];
    });
    return `c=${connections}\n${formatTable(head, lines)}`;
  }).join('\n\n');
}
