/** Serving through saved proxies: in the background, under a service manager, or in the foreground. */
import { createAdminClient } from '../../src/admin/client';
import { type App, openApp } from '../../src/app';
import type { RunBy } from '../../src/daemon';
import { FlmError } from '../../src/lib/errors';
import type { Log } from '../../src/lib/log';
import type { ProxyView } from '../../src/listeners';
import { refuseSecond } from '../backend';
import type { Cli } from '../cli';
import { guardAgainstCrashes } from '../crash-guard';
import type { ServeOrder } from './order';

export interface Place extends Pick<Cli, 'paths' | 'env' | 'clock' | 'egress'> {
  /** `level` says what is worth a line once the settings are known. */
  makeLog(level: () => ReturnType<App['config']['current']>['log.level']): Log;
  /** Has that log written when the process breaks down and there is no time left. */
  lastWords?(): void;
}

export interface Serving {
  readonly app: App;
  /** The proxy that was asked for, or the first of the saved ones; null when none of them could be started yet. */
  readonly proxy: ProxyView | null;
}

/** How long to wait for an FLM that is just going down, or that was killed a moment ago. */
const LOCK_WAIT_MS = 2_000;
/** How long for one that must come up: the one before may have to say goodbye to requests first. */
const PATIENT_LOCK_WAIT_MS = 8_000;

/** @throws PROXY_ALREADY_RUNNING, HANDOVER_UNAVAILABLE, as openApp and App.serveSaved */
export async function startServing(
  place: Place,
  order: ServeOrder,
  how: { readonly runBy: RunBy; readonly onReplaced: () => void },
): Promise<Serving> {
  const { paths, env, clock, egress } = place;
  if (!order.takeOver) await refuseSecond(place);
  const legacy = order.takeOver ? await createAdminClient(egress, paths.adminSocket).daemon.handOver() : null;
  let app: App | null = null;
  const log = place.makeLog(() => app?.config.current()['log.level'] ?? 'info');
  const lockWaitMs = order.isPatient ? PATIENT_LOCK_WAIT_MS : LOCK_WAIT_MS;
  try {
    const isFileLog = how.runBy === 'supervisor';
    app = await openApp({ paths, env, clock, log, isFileLog, flags: {}, running: true, lockWaitMs });
    guardAgainstCrashes(app, place);
    const { first, isPatient } = order;
    const proxy = await app.serveSaved({ first, legacy, isPatient, ...how });
    return { app, proxy };
  } catch (error) {
    await app?.close().catch(() => {});
    // It may have been starting up while we looked for it.
    if (error instanceof FlmError && error.code === 'DB_LOCKED') await refuseSecond(place);
    throw error;
  }
}

/** Ends FLM at the first signal once requests under way have finished, and at the second at once. */
export async function untilOver(app: App, onStopping: () => void): Promise<void> {
  const hurried = Promise.withResolvers<void>();
  let signals = 0;
  const onSignal = (): void => {
    signals++;
    onStopping();
    if (signals === 1) void app.stop();
    else hurried.resolve();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  try {
    await Promise.race([app.over, hurried.promise]);
    onStopping();
  } finally {
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
  }
}
