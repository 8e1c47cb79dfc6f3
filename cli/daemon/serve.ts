/** The process that serves in the background: a child of the supervisor, which hears through a pipe how it goes. */
import type { App } from '../../src/app';
import { linkToSupervisor, openDaemonLog, UNLIMITED } from '../../src/daemon';
import { createEgress } from '../../src/egress';
import { systemClock } from '../../src/lib/clock';
import { toFlmError } from '../../src/lib/errors';
import { createLog } from '../../src/lib/log';
import { dataDir, type Env, pathsIn } from '../../src/lib/paths';
import { redact } from '../../src/lib/redact';
import { logLimits } from '../../src/telemetry';
import { parseOrder } from './order';
import { startServing, untilOver } from './serving';

/** Resolves with the exit code, when FLM has ended. */
export async function serveInBackground(text: string, env: Env): Promise<number> {
  const order = parseOrder(text);
  const paths = pathsIn(dataDir(env));
  let serving: App | null = null;
  const file = openDaemonLog(paths, systemClock, () =>
    serving === null ? UNLIMITED : logLimits(serving.config.current()),
  );
  const egress = createEgress({ clock: systemClock });
  const log = createLog(() => 'info', systemClock, file.write);
  const link = linkToSupervisor(paths, log);
  // Stopped before it serves, it ends without having begun.
  const early = new AbortController();
  const onEarly = (): void => early.abort();
  process.on('SIGTERM', onEarly);
  process.on('SIGINT', onEarly);
  try {
    const place = {
      paths,
      env,
      clock: systemClock,
      egress,
      makeLog: (level: Parameters<typeof createLog>[0]) => createLog(level, systemClock, file.write),
      lastWords: file.writeNow,
    };
    const { app, proxy } = await startServing(place, order, {
      runBy: 'supervisor',
      // The next process has a supervisor of its own.
      onReplaced: () => void link.leave(),
    });
    serving = app;
    try {
      if (early.signal.aborted) return 0;
      await link.tell({ type: 'ready', result: proxy });
      await untilOver(app, () => void link.leave());
    } finally {
      await link.leave();
      await app.close();
    }
    return 0;
  } catch (error) {
    const { code, message, hint, exit } = toFlmError(error);
    log.error('FLM cannot serve', { error });
    const words = { code, message: redact(message), hint: hint === null ? null : redact(hint) };
    await link.tell({ type: 'failed', error: words, exit });
    return exit;
  } finally {
    egress.close();
    process.off('SIGTERM', onEarly);
    process.off('SIGINT', onEarly);
    await file.close();
  }
}
