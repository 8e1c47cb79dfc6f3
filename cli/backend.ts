/**
 * Where a command does its work: at the running FLM, through its socket, or straight on the data directory while none
 * runs. Both speak the same interfaces, so no command knows which it is.
 */
import { existsSync } from 'node:fs';
import { type CheckReport, createAdminClient, type Status } from '../src/admin/client';
import type { KeysApi } from '../src/admission';
import type { App } from '../src/app';
import type { ConfigApi } from '../src/config';
import { createEgress } from '../src/egress';
import type { EnginesApi } from '../src/engines';
import { FlmError } from '../src/lib/errors';
import { createLog, type Log, type LogLevel } from '../src/lib/log';
import type { ModelsApi } from '../src/models';
import type { Cli } from './cli';

export interface Backend {
  readonly mode: 'live' | 'offline';
  readonly keys: KeysApi;
  readonly engines: EnginesApi;
  readonly config: ConfigApi;
  readonly models: ModelsApi;
  status(): Promise<Status>;
  check(): Promise<CheckReport>;
}

/** How long to wait for another command that works offline at this moment. */
const LOCK_WAIT_MS = 3_000;

/** Runs `use` with the backend that is there. */
export async function withBackend<Result>(
  cli: Cli,
  use: (backend: Backend) => Promise<Result>,
): Promise<Result> {
  const client = await findRunning(cli);
  if (client !== null) return use({ mode: 'live', ...client });
  const app = await openOffline(cli).catch(async (error: unknown) => {
    const locked = error instanceof FlmError && error.code === 'DB_LOCKED';
    // It may have been starting up while we looked for its socket.
    const started = locked ? await findRunning(cli) : null;
    if (started === null) throw error;
    return started;
  });
  if (!('close' in app)) return use({ mode: 'live', ...app });
  try {
    return await use({ mode: 'offline', ...app, status: async () => app.status() });
  } finally {
    await app.close();
  }
}

/** A client of the FLM that runs on this data directory, or null. */
export async function findRunning(cli: Cli): Promise<ReturnType<typeof createAdminClient> | null> {
  const socketPath = cli.paths.adminSocket;
  if (!existsSync(socketPath)) return null;
  const client = createAdminClient(createEgress({ clock: cli.clock }), socketPath);
  try {
    await client.status();
    return client;
  } catch (error) {
    if (error instanceof FlmError && error.code === 'PROXY_NOT_RUNNING') return null;
    throw error;
  }
}

/** @throws PROXY_NOT_RUNNING */
export async function requireRunning(cli: Cli): Promise<ReturnType<typeof createAdminClient>> {
  const client = await findRunning(cli);
  if (client === null) throw new FlmError('PROXY_NOT_RUNNING');
  return client;
}

async function openOffline(cli: Cli): Promise<App> {
  const { paths, env, clock } = cli;
  // Loaded only here: a command that talks to a running FLM needs none of the rooms.
  const { openApp } = await import('../src/app');
  return openApp({
    paths,
    env,
    clock,
    log: stderrLog(cli, () => 'warn'),
    flags: {},
    running: false,
    lockWaitMs: LOCK_WAIT_MS,
  });
}

/** FLM's own log, as JSON lines on stderr (FLM-011). */
export function stderrLog({ clock }: Pick<Cli, 'clock'>, level: () => LogLevel): Log {
  return createLog(level, clock, (line) => process.stderr.write(line));
}
