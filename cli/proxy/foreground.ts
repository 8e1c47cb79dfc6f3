/** `flm proxy start --no-daemon`: serves here, for a service manager, a container or a test. */
import { canRaiseFetchCap, connectServiceManager, hasServiceManager, raiseFetchCap } from '../../src/daemon';
import type { Cli } from '../cli';
import type { ServeOrder } from '../daemon/order';
import { startServing, untilOver } from '../daemon/serving';
import { stderrLog } from '../log';
import { startedText } from './text';

export async function serveInForeground(cli: Cli, order: ServeOrder): Promise<void> {
  // Here, before anything is open: the process that serves is this one, and keeps its number.
  if (canRaiseFetchCap()) raiseFetchCap();
  const manager = connectServiceManager(cli.env);
  const { app, proxy } = await startServing({ ...cli, makeLog: (level) => stderrLog(cli, level) }, order, {
    runBy: hasServiceManager(cli.env) ? 'service' : 'foreground',
    onReplaced: manager.close,
  });
  try {
    cli.result(proxy, () => startedText(proxy));
    manager.ready(proxy === null ? 'no proxy could be started yet' : `serving on ${proxy.listen_addr}`);
    await untilOver(app, manager.stopping);
  } finally {
    await app.close();
    manager.close();
  }
}
