/** The two processes of an FLM in the background, as each starts the other (design §1). */
import { closeSync, constants, openSync } from 'node:fs';
import type { Log } from '../lib/log';
import { logPathIn, type Paths } from '../lib/paths';
import { fetchCapEnv } from './fetch-cap';
import { lineOf, readMessages } from './messages';
import type { Message } from './model';
import { ownProgram, SERVE, SUPERVISE } from './program';
import type { Served, Take } from './supervisor';

/** What the process that serves is started with. In its arguments, so it holds no secret. */
export interface Order<Input> {
  /** The proxy its owner asked for; null: those that are saved. */
  readonly first: Input | null;
  /** Whether it takes over from the FLM that runs. */
  readonly takeOver: boolean;
  /** Whether proxies that cannot be started are tried again; else the start fails with the first of them. */
  readonly isPatient: boolean;
}

/** What the supervisor is started with: an order, or the process that it is to look after. */
export type SupervisorOrder<Input> = Order<Input> | { readonly adopt: number };

/** Starts a supervisor that outlives this process. Its stdout tells how the start went. */
export function startSupervisor<Input>(paths: Paths, order: SupervisorOrder<Input>) {
  return withLog(paths, (log) =>
    Bun.spawn([...ownProgram(), SUPERVISE, JSON.stringify(order)], {
      cwd: paths.dir,
      env: envFor(paths),
      detached: true,
      stdin: 'adopt' in order ? 'pipe' : 'ignore',
      stdout: 'adopt' in order ? 'ignore' : 'pipe',
      stderr: log,
    }),
  );
}

/** Starts the process that serves, on an Order as JSON. It ends by itself or by a signal, never because this process does. */
export function startServer(paths: Paths, order: string, take: Take): Served {
  const child = withLog(paths, (log) =>
    Bun.spawn([...ownProgram(), SERVE, order], {
      cwd: paths.dir,
      env: envFor(paths),
      // Open for as long as this process lives: its end is how the other learns of it.
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: log,
    }),
  );
  const messages = readMessages(child.stdout, take);
  const ended = child.exited.then(async (code) => {
    // What it said last tells why; whoever inherited its end of the pipe must not hold this up.
    await Promise.race([messages, Bun.sleep(LAST_WORDS_MS)]);
    return child.signalCode === null ? code : null;
  });
  return { pid: child.pid, ended, signal: (name) => child.kill(name) };
}

/** The process that serves and has lost its supervisor; it holds the other end of this process's stdin. */
export function adoptServer(pid: number, take: Take): Served {
  return {
    pid,
    ended: readMessages(Bun.stdin.stream(), take).then(() => null),
    signal(name) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended meanwhile, which is what a signal is for.
      }
    },
  };
}

/** The way from the process that serves to whoever would start it again. */
export interface Link {
  /** Resolves when it has been handed over, or cannot be. */
  tell(message: Message): Promise<void>;
  /** From here on nobody starts this process again: it is about to end, or another has taken its place. */
  leave(): Promise<void>;
}

const RESPAWN_MS = 200;
const LAST_WORDS_MS = 500;

/**
 * Watches the supervisor, which is at the other end of stdin and stdout. When it dies, this process goes on serving and
 * starts another one, which looks after it through a pipe of its own.
 */
export function linkToSupervisor(paths: Paths, log: Log): Link {
  let isLeaving = false;
  let write = (line: string): Promise<void> =>
    new Promise((resolve) => process.stdout.write(line, () => resolve()));
  // Nobody reads any more: that the supervisor is gone is learned from stdin.
  process.stdout.on('error', () => {});

  async function replace(): Promise<void> {
    while (!isLeaving) {
      log.warn('the supervisor is gone, another one is started');
      try {
        const supervisor = startSupervisor(paths, { adopt: process.pid });
        const pipe = supervisor.stdin;
        write = async (line) => {
          if (typeof pipe !== 'object') return;
          pipe.write(line);
          await pipe.flush();
        };
        await supervisor.exited;
      } catch (error) {
        log.error('no supervisor could be started', { error });
      }
      await Bun.sleep(RESPAWN_MS);
    }
  }
  void readMessages(Bun.stdin.stream(), () => undefined).then(replace);

  const tell = async (message: Message): Promise<void> => {
    try {
      await write(lineOf(message));
    } catch {
      // A supervisor that has just died hears nothing.
    }
  };
  return {
    tell,
    async leave() {
      if (isLeaving) return;
      isLeaving = true;
      await tell({ type: 'bye' });
    },
  };
}

function envFor(paths: Paths): Record<string, string | undefined> {
  // The folder may have been named relative to another one.
  return { ...process.env, ...fetchCapEnv(), FLM_DATA_DIR: paths.dir };
}

/** What the runtime itself says when it dies goes into the log, too, where there is room for one. */
function withLog<Result>(paths: Paths, start: (log: number | 'ignore') => Result): Result {
  const log = openLog(logPathIn(paths.logsDir));
  try {
    return start(log);
  } finally {
    if (log !== 'ignore') closeSync(log);
  }
}

function openLog(path: string): number | 'ignore' {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
  } catch {
    return 'ignore'; // A full disk must not keep FLM from coming back.
  }
}
