/**
 * What TLS costs: FLM's front beside nginx and beside the runtime's own TLS (which cannot exchange certificates), all with
 * the same certificate and each in front of the same engine; on connections that are kept, and on a new one for each request.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTestCa } from '../support/test-ca';
import { type FlmForm, prepareFlm, startFlm } from './flm';
import { runLoad } from './load';
import { findNginx, nginxRow } from './nginx';
import { freePort, waitForPort } from './ports';
import { processTree } from './proc';
import { startScript, type Target } from './rows';
import type { Stage } from './stage';
import { type Spread, spreadOf } from './stats';
import { figure, formatTable } from './table';

const KINDS = [
  { name: 'kept connections, c=32', connections: 32, fresh: false },
  { name: 'new connections, c=8', connections: 8, fresh: true },
] as const;

export interface TlsOptions {
  readonly form: FlmForm;
  readonly rounds: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly say: (text: string) => void;
}

interface Run {
  readonly row: string;
  readonly kind: string;
  readonly requestsPerS: number;
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

export interface TlsFigures {
  readonly runs: readonly Run[];
}

interface Row {
  readonly name: string;
  readonly target: Target;
  readonly authorization: string;
}

/** Runs nginx, bun, flm, nginx, … in each kind of load. */
export async function benchTls(stage: Stage, options: TlsOptions): Promise<TlsFigures> {
  const { rounds, warmupMs, durationMs, say } = options;
  using authority = createTestCa();
  const { cert, key } = authority.issue('DNS:localhost');
  const directory = stage.directory('tls');
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key, { mode: 0o600 });
  const ca = readFileSync(authority.caFile, 'utf8');
  const engine = await startScript(stage, 'engine.ts', '20');
  const rows: Row[] = [];
  const nginx = findNginx();
  if (nginx !== null) {
    const target = await nginxRow(stage, nginx, engine.port, files).start();
    rows.push({ name: 'nginx', target, authorization: 'Bearer none' });
  }
  const ceiling = await startScript(
    stage,
    'ceiling.ts',
    `http://127.0.0.1:${engine.port}`,
    files.cert,
    files.key,
  );
  rows.push({ name: 'Bun.serve', target: ceiling, authorization: 'Bearer none' });
  rows.push(await flmWithTls(stage, options.form, engine.port, files));

  const runs: Run[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const { name: kind, connections, fresh } of KINDS) {
      for (const { name: row, target, authorization } of rows) {
        say(`tls round ${round + 1}/${rounds} ${kind} ${row}`);
        const [port, pids] = [target.port, target.pids()];
        const load = {
          kind: 'tls',
          port,
          authorization,
          ca,
          connections,
          fresh,
          warmupMs,
          durationMs,
          pids,
        } as const;
        const { requests, seconds, cpuS, p50Ms, p99Ms, failed } = await runLoad(stage, load);
        if (p50Ms === null || p99Ms === null) throw new Error(`${row}: no answer over TLS`);
        const cpuUs = (cpuS * 1e6) / requests;
        runs.push({ row, kind, cpuUs, p50Ms, p99Ms, failed, requestsPerS: requests / seconds });
      }
    }
  }
  for (const { target } of rows) await target.stop();
  await engine.stop();
  return { runs };
}

async function flmWithTls(
  stage: Stage,
  form: FlmForm,
  enginePort: number,
  files: { readonly cert: string; readonly key: string },
): Promise<Row> {
  const flm = await prepareFlm(stage, form, [enginePort], { FLM_ENGINE_DETECT: 'false' });
  const words = ['security', 'certificates', 'import', '--cert', files.cert, '--key', files.key];
  const { stderr, exitCode } = await stage.run([...flm.command, ...words], flm.options);
  if (exitCode !== 0) throw new Error(`flm ${words.join(' ')}: ${stderr.trim()}`);
  const port = freePort();
  const { service } = startFlm(stage, flm, ['--mode', 'packaged-ca', '--https-port', String(port)]);
  await waitForPort(port, service);
  const pids = () => processTree(service.pid);
  return { name: 'flm', target: { port, pids, stop: service.stop }, authorization: `Bearer ${flm.key}` };
}

export function tlsTable({ runs }: TlsFigures): string {
  const head = ['', 'requests/s', 'CPU µs', 'p50 ms', 'p99 ms', 'failed'];
  return KINDS.map(({ name }) => {
    const own = Map.groupBy(
      runs.filter(({ kind }) => kind === name),
      ({ row }) => row,
    );
    const lines = [...own].map(([row, group]) => {
      const over = (read: (run: Run) => number): Spread | null => spreadOf(group.map(read));
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
        figure(
          over(({ p99Ms }) => p99Ms),
          3,
        ),
        String(group.reduce((sum, { failed }) => sum + failed, 0)),
      ];
    });
    return `TLS, ${name}\n${formatTable(head, lines)}`;
  }).join('\n\n');
}
