/** The rows of the tables: ways from the client to the mock engine, each started and stopped on demand. */
import { join } from 'node:path';
import { type Flm, type FlmForm, flmRow, prepareFlm } from './flm';
import { findNginx, nginxRow, nginxVersion } from './nginx';
import { processTree } from './proc';
import type { Stage } from './stage';

export type RowName = 'direct' | 'nginx' | 'ceiling' | 'flm';

/** A running way to the engine. */
export interface Target {
  port: number;
  /** The processes between client and engine; none for direct. */
  pids(): number[];
  stop(): Promise<void>;
}

export interface Row {
  name: RowName;
  start(): Promise<Target>;
}

/** All rows of this machine, those it lacks with the reason, and what they run on. */
export interface Field {
  rows: Row[];
  missing: { name: RowName; reason: string }[];
  versions: Record<string, string>;
  /** The Authorization header all rows get. */
  authorization: string;
  flm: Flm | null;
}

export interface FieldOptions {
  form: FlmForm;
  tokensPerSecond: number;
}

/** Starts the mock engine and prepares every row that this machine can have. */
export async function openField(stage: Stage, options: FieldOptions): Promise<Field> {
  const engine = await startScript(stage, 'engine.ts', String(options.tokensPerSecond));
  const field: Field = {
    rows: [
      { name: 'direct', start: async () => ({ port: engine.port, pids: () => [], stop: async () => {} }) },
    ],
    missing: [],
    versions: { bun: Bun.version },
    authorization: 'Bearer flm_bench_has_no_key',
    flm: null,
  };
  const nginx = findNginx();
  if (nginx === null) field.missing.push({ name: 'nginx', reason: 'not installed' });
  else {
    field.rows.push(nginxRow(stage, nginx, engine.port));
    field.versions.nginx = await nginxVersion(stage, nginx);
  }
  field.rows.push({
    name: 'ceiling',
    start: () => startScript(stage, 'ceiling.ts', `http://127.0.0.1:${engine.port}`),
  });
  try {
    field.flm = await prepareFlm(stage, options.form, [engine.port]);
    field.rows.push(flmRow(stage, field.flm));
    field.versions.flm = `${field.flm.version} (${options.form})`;
    field.authorization = `Bearer ${field.flm.key}`;
  } catch (error) {
    dropRow(stage, field, 'flm', error);
  }
  return field;
}

/** Takes a failed row out of the field. @throws the error itself when the row is direct or the stage was closed. */
export function dropRow(stage: Stage, field: Field, name: RowName, error: unknown): void {
  if (name === 'direct' || stage.closed) throw error;
  field.rows = field.rows.filter((row) => row.name !== name);
  field.missing.push({ name, reason: error instanceof Error ? error.message : String(error) });
}

/** Starts one of our own servers, which print their port. */
export async function startScript(stage: Stage, script: string, argument: string): Promise<Target> {
  // fetch is capped at 256 concurrent requests unless the environment says otherwise before the start.
  const env = { BUN_CONFIG_MAX_HTTP_REQUESTS: '8192' };
  const service = stage.start([process.execPath, join(import.meta.dir, script), argument], { env });
  const port = Number(await service.firstLine());
  return { port, pids: () => processTree(service.pid), stop: service.stop };
}
