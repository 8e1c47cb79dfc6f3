/**
 * Where a command does its work: at the running FLM, through its socket, or straight on the data directory while none
 * runs. Both speak the same interfaces, so no command knows which it is.
 */
import { existsSync } from 'node:fs';
import { type AdminClient, createAdminClient, type OwnerApi } from '../src/admin/client';
import { type Actor, actingAs } from '../src/lib/actor';
import { FlmError } from '../src/lib/errors';
import { newId } from '../src/lib/ids';
import type { Cli } from './cli';
import type { OfflineBackend } from './offline';

/** The services of FLM, here or in the process that runs. */
export interface Backend extends OwnerApi {
  readonly mode: 'live' | 'offline';
}

/** How long to wait for whoever else uses the data directory at this moment. */
const PATIENCE_MS = 3_000;
/** How long of that at a time: meanwhile FLM may have begun to listen. */
const LOCK_WAIT_MS = 200;
/** How long a running FLM may take to say that it is there. */
const ANSWER_MS = 3_000;

/** Runs `use` with the backend that is there. */
export async function withBackend<Result>(
  cli: Cli,
  use: (backend: Backend) => Promise<Result>,
): Promise<Result> {
  const backend = await openBackend(cli);
  if (!('close' in backend)) return use({ mode: 'live', ...backend });
  try {
    // Whoever may open the data directory is its owner.
    const actor: Actor = { ...OWNER, requestId: newId() };
    return await actingAs(actor, () => use(backend));
  } finally {
    await backend.close();
  }
}

const OWNER: Actor = { kind: 'owner', id: 'owner', via: 'offline', requestId: null, traceId: null, ip: null };

async function openBackend(cli: Cli): Promise<AdminClient | OfflineBackend> {
  const untilMs = cli.clock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    const client = await findRunning(cli);
    if (client !== null) return client;
    const { openOffline } = await import('./offline');
    try {
      return await openOffline(cli, LOCK_WAIT_MS);
    } catch (error) {
      const locked = error instanceof FlmError && error.code === 'DB_LOCKED';
      // Another command works offline at this moment, or FLM is starting up and will listen soon.
      if (!locked || cli.clock.monotonicMs() >= untilMs) throw error;
    }
  }
}

/**
 * A client of the FLM that runs on this data directory, or null.
 * @throws DB_LOCKED when one listens and does not answer
 */
export async function findRunning({
  paths,
  egress,
}: Pick<Cli, 'paths' | 'egress'>): Promise<AdminClient | null> {
  if (!existsSync(paths.adminSocket)) return null;
  const client = createAdminClient(egress, paths.adminSocket);
  try {
    await client.status(AbortSignal.timeout(ANSWER_MS));
    return client;
  } catch (error) {
    if (error instanceof FlmError && error.code === 'PROXY_NOT_RUNNING') return null;
    const silent = error instanceof DOMException && error.name === 'TimeoutError';
    throw silent ? new FlmError('DB_LOCKED', { meta: { dir: paths.dir }, cause: error }) : error;
  }
}

/** @throws PROXY_ALREADY_RUNNING when an FLM serves this data directory */
export async function refuseSecond(cli: Pick<Cli, 'paths' | 'egress'>): Promise<void> {
  const running = await findRunning(cli);
  if (running === null) return;
  const { pid } = await running.status();
  throw new FlmError('PROXY_ALREADY_RUNNING', { meta: { pid } });
}

/** @throws PROXY_NOT_RUNNING */
export async function requireRunning(cli: Cli): Promise<AdminClient> {
  const client = await findRunning(cli);
  if (client === null) throw new FlmError('PROXY_NOT_RUNNING');
  return client;
}
