/** The supervisor's process: started detached by `flm proxy start`, or by a process that lost its supervisor. */
import {
  adoptServer,
  createSupervisor,
  lineOf,
  openLogFile,
  type SupervisorOrder,
  startServer,
} from '../../src/daemon';
import { systemClock } from '../../src/lib/clock';
import { createLog } from '../../src/lib/log';
import { dataDir, type Env, pathsIn } from '../../src/lib/paths';
import type { ProxyInput } from '../../src/listeners';
import { parseSupervisorOrder } from './order';

/** Resolves with the exit code once FLM has ended on purpose or cannot be started. */
export async function supervise(text: string, env: Env): Promise<number> {
  const order: SupervisorOrder<ProxyInput> = parseSupervisorOrder(text);
  const paths = pathsIn(dataDir(env));
  const log = createLog(() => 'info', systemClock, openLogFile(paths.logsDir));
  // Whoever waited for the start reads one line and leaves.
  process.stdout.on('error', () => {});
  const supervisor = createSupervisor({
    launch: (isFirst, take) =>
      startServer(
        paths,
        isFirst && !('adopt' in order) ? order : { first: null, takeOver: false, isPatient: true },
        take,
      ),
    adopt: 'adopt' in order ? (take) => adoptServer(order.adopt, take) : null,
    report: (message) => void process.stdout.write(lineOf(message)),
    clock: systemClock,
    log,
    delay,
  });
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(name, () => supervisor.signal(name === 'SIGHUP' ? 'SIGTERM' : name));
  return supervisor.run();
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
