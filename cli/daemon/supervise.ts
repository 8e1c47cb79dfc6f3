/** The supervisor's process: started detached by `flm proxy start`, or by a process that lost its supervisor. */
import { adoptServer, createSupervisor, lineOf, openDaemonLog, startServer } from '../../src/daemon';
import { systemClock } from '../../src/lib/clock';
import { isRecord, parseJson } from '../../src/lib/json';
import { createLog } from '../../src/lib/log';
import { dataDir, type Env, pathsIn } from '../../src/lib/paths';

const AFTER_CRASH = JSON.stringify({ first: null, takeOver: false, isPatient: true });

/** Resolves with the exit code once FLM has ended on purpose or cannot be started. */
export async function supervise(text: string, env: Env): Promise<number> {
  const order = parseJson(text);
  const adopted = isRecord(order) && typeof order.adopt === 'number' ? order.adopt : null;
  const paths = pathsIn(dataDir(env));
  const file = openDaemonLog(paths, systemClock);
  const log = createLog(() => 'info', systemClock, file.write);
  // Whoever waited for the start reads one line and leaves.
  process.stdout.on('error', () => {});
  const supervisor = createSupervisor({
    launch: (isFirst, take) =>
      // The order goes on as it came: this process knows nothing of proxies, and loads nothing that does.
      startServer(paths, isFirst ? text : AFTER_CRASH, take),
    adopt: adopted === null ? null : (take) => adoptServer(adopted, take),
    report: (message) => void process.stdout.write(lineOf(message)),
    clock: systemClock,
    log,
    delay,
  });
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(name, () => supervisor.signal(name === 'SIGHUP' ? 'SIGTERM' : name));
  try {
    return await supervisor.run();
  } finally {
    await file.close();
  }
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
