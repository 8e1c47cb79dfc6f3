/**
 * What is left behind when FLM breaks down: a file that says where, of which version and after how long, and nothing of
 * anybody's data. Then the process ends, because nobody knows what state it is in; whoever looks after it starts it again.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../contract';
import { reasonOf } from '../lib/errors';
import { ensurePrivateDir, writeFileAtomic } from '../lib/files';
import type { Log } from '../lib/log';
import { redact } from '../lib/redact';

/** Numbers that help to understand it. */
export type CrashFacts = Readonly<Record<string, number>>;

export interface CrashOptions {
  readonly crashDir: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Asked when it happens; may throw, as everything may then. */
  readonly facts: () => CrashFacts;
  /** Ends the process. */
  readonly exit: (code: number) => void;
}

export interface CrashHandler {
  /** Writes the file and returns its path, or null where that is not possible. */
  record(kind: string, thrown: unknown): string | null;
  uninstall(): void;
}

const KEEP = 20;
/** Internal error (design §3): a supervisor starts FLM again after it, unlike after 3. */
const EXIT_CODE = 2;
const MAX_MESSAGE = 1_000;
const MAX_PLACES = 50;
const MAX_CAUSES = 4;

/** From here on what nobody catches ends the process with code 2, after a crash file was written. */
export function installCrashHandler(options: CrashOptions): CrashHandler {
  const { log, exit } = options;
  let isEnding = false;
  const end = (kind: string) => (thrown: unknown) => {
    // What breaks while it breaks down must not do so for ever.
    if (isEnding) return;
    isEnding = true;
    const file = writeCrashFile(options, kind, thrown);
    try {
      // The log quotes no more of it than the file does.
      log.error('FLM broke down', { kind, error: unfold(thrown), file });
    } finally {
      exit(EXIT_CODE);
    }
  };
  const onException = end('uncaughtException');
  const onRejection = end('unhandledRejection');
  process.on('uncaughtException', onException);
  process.on('unhandledRejection', onRejection);
  return {
    record: (kind, thrown) => writeCrashFile(options, kind, thrown),
    uninstall() {
      process.off('uncaughtException', onException);
      process.off('unhandledRejection', onRejection);
    },
  };
}

type CrashFileOptions = Omit<CrashOptions, 'log' | 'exit'>;

/** Writes `<time>-<pid>.json` and keeps the last twenty. Never throws: it is called when things go wrong. */
export function writeCrashFile(options: CrashFileOptions, kind: string, thrown: unknown): string | null {
  const { crashDir, version, clock } = options;
  const time = new Date(clock.nowMs()).toISOString();
  const path = join(crashDir, `${time.replaceAll(':', '-')}-${process.pid}.json`);
  try {
    ensurePrivateDir(crashDir);
    const report = {
      time,
      kind,
      version,
      runtime: `bun ${Bun.version}`,
      platform: `${process.platform}-${process.arch}`,
      pid: process.pid,
      uptime_s: Math.round(process.uptime()),
      memory_bytes: process.memoryUsage.rss(),
      facts: factsOf(options),
      error: unfold(thrown),
    };
    writeFileAtomic(path, `${JSON.stringify(report, null, 2)}\n`);
    prune(crashDir);
    return path;
  } catch {
    return null; // A disk that is full may be what broke it; the log has the rest.
  }
}

function factsOf({ facts }: CrashFileOptions): CrashFacts | string {
  try {
    return facts();
  } catch (error) {
    return redact(reasonOf(error));
  }
}

/**
 * Name, code, message and the places of the stack, redacted: an error's other fields may hold what a client sent, and a
 * SyntaxError quotes what it could not parse.
 */
function unfold(thrown: unknown, depth = 0): Record<string, unknown> | null {
  if (thrown === undefined || thrown === null) return null;
  // What was thrown and is no error may be anything, also a prompt.
  if (!(thrown instanceof Error)) return { name: typeof thrown };
  const { name, message, stack = '', cause } = thrown;
  const places = stack.split('\n').filter((line) => /^\s+at /.test(line));
  return {
    name,
    code: 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : null,
    message: thrown instanceof SyntaxError ? null : redact(message.slice(0, MAX_MESSAGE)),
    stack: places.slice(0, MAX_PLACES).map(redact),
    cause: depth < MAX_CAUSES ? unfold(cause, depth + 1) : null,
  };
}

function prune(dir: string): void {
  const files = readdirSync(dir).filter((name) => name.endsWith('.json'));
  for (const name of files.toSorted().slice(0, -KEEP)) rmSync(join(dir, name), { force: true });
}
