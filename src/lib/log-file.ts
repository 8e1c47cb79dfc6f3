/**
 * A log file that writes behind: lines wait in memory for a moment, one write at a time takes them to the disk, and nobody
 * waits for it. A file that is large or old is set aside; a disk that is full costs lines, which are counted. Several
 * processes may write to one.
 */
import { appendFileSync, existsSync } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../contract';
import { reasonOf } from './errors';
import { ensurePrivateDir } from './files';
import type { Log } from './log';

export interface LogFileLimits {
  /** Infinity: another process sets the file aside, and this one goes on in the new one. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** Files set aside that are kept. */
  readonly keepFiles: number;
}

export interface LogFile {
  /** Takes a line, with its end. Never waits, never throws. */
  write(line: string): void;
  /** Lines that were written, and lines that were lost. */
  counts(): { readonly written: number; readonly lost: number };
  /** Writes what waits while everything else stands still: the last words of a process that breaks down. Never throws. */
  writeNow(): void;
  /** Writes what waits, and closes the file. */
  close(): Promise<void>;
}

export interface LogFileOptions {
  /** `logs/requests.log`; what is set aside is called `requests-2026-11-23T22-10-00.000Z.log` beside it. */
  readonly path: string;
  readonly limits: () => LogFileLimits;
  readonly clock: Clock;
  /** Told once when lines are lost, and once when that is over. */
  readonly log: Log;
}

/** Lines wait for so long at most. */
const FLUSH_MS = 200;
/** A disk that does not take this much in time loses lines, not FLM's memory. */
const MAX_WAITING_CHARS = 8_388_608;
/** A disk that hangs must not keep FLM from ending. */
const CLOSE_MS = 2_000;

interface OpenFile {
  readonly handle: FileHandle;
  readonly inode: number;
  readonly bornMs: number;
  bytes: number;
}

export function openLogFile({ path, limits, clock, log }: LogFileOptions): LogFile {
  let waiting: string[] = [];
  let waitingChars = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let writing: Promise<void> | null = null;
  let file: OpenFile | null = null;
  let isFailing = false;
  let closed = false;
  let written = 0;
  let lost = 0;

  function schedule(): void {
    if (timer !== null || writing !== null || waiting.length === 0) return;
    timer = setTimeout(() => {
      timer = null;
      flush();
    }, FLUSH_MS);
    timer.unref();
  }

  function flush(): void {
    const lines = waiting;
    if (writing !== null || lines.length === 0) return;
    waiting = [];
    waitingChars = 0;
    writing = append(lines).finally(() => {
      writing = null;
      if (!closed) schedule();
    });
  }

  async function append(lines: readonly string[]): Promise<void> {
    try {
      file = await readyFile(file);
      const bytes = Buffer.from(lines.join(''));
      try {
        await writeWhole(file.handle, bytes);
      } catch (error) {
        // What fitted on a full disk ends in the middle of a line.
        await file.handle.truncate(file.bytes).catch(() => {});
        throw error;
      }
      file.bytes += bytes.length;
      written += lines.length;
      if (isFailing) log.info('the log file can be written again', { path, lost });
      isFailing = false;
    } catch (error) {
      lost += lines.length;
      if (!isFailing)
        log.error('a log file cannot be written: lines are lost', { path, reason: reasonOf(error) });
      isFailing = true;
    }
  }

  /** The file to write to: the one that is open, unless it is full, old, or somebody has moved it away. */
  async function readyFile(current: OpenFile | null): Promise<OpenFile> {
    const there = await stat(path).catch(() => null);
    const isSame = current !== null && there?.ino === current.inode;
    if (current !== null && !isSame) await current.handle.close().catch(() => {});
    const ready = isSame ? current : await openHere(path);
    // Others may have written since.
    if (isSame) ready.bytes = there.size;
    const { maxBytes, maxAgeMs } = limits();
    const isOld = clock.nowMs() - ready.bornMs >= maxAgeMs;
    if (ready.bytes === 0 || (ready.bytes < maxBytes && !isOld)) return ready;
    await ready.handle.close();
    file = null;
    await setAside(path, clock.nowMs());
    await prune(path, limits().keepFiles);
    return openHere(path);
  }

  return {
    write(line) {
      if (closed || waitingChars + line.length > MAX_WAITING_CHARS) {
        lost++;
        return;
      }
      waiting.push(line);
      waitingChars += line.length;
      schedule();
    },
    counts: () => ({ written, lost }),
    writeNow() {
      const lines = waiting;
      waiting = [];
      waitingChars = 0;
      try {
        appendFileSync(path, lines.join(''), { mode: 0o600 });
        written += lines.length;
      } catch {
        lost += lines.length; // Nobody is left who could be told.
      }
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      const end = (async () => {
        await writing;
        flush();
        await writing;
        await file?.handle.close().catch(() => {});
      })();
      const patience = Promise.withResolvers<void>();
      const limit = setTimeout(patience.resolve, CLOSE_MS);
      await Promise.race([end, patience.promise]);
      clearTimeout(limit);
    },
  };
}

async function openHere(path: string): Promise<OpenFile> {
  ensurePrivateDir(dirname(path));
  const handle = await open(path, 'a', 0o600);
  const { ino, size, birthtimeMs, mtimeMs, mode } = await handle.stat();
  if ((mode & 0o077) !== 0 && process.platform !== 'win32') await handle.chmod(0o600);
  // Not every file system knows when a file began.
  return { handle, inode: ino, bytes: size, bornMs: birthtimeMs > 0 ? birthtimeMs : mtimeMs };
}

/** One write may take less than it was given. */
async function writeWhole(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, from, bytes.length - from);
    from += bytesWritten;
  }
}

/** `requests.log` becomes `requests-<time>.log`, and never takes the place of another. */
async function setAside(path: string, nowMs: number): Promise<void> {
  const stem = path.slice(0, -'.log'.length);
  for (let ms = nowMs; ; ms++) {
    const target = `${stem}-${new Date(ms).toISOString().replaceAll(':', '-')}.log`;
    if (existsSync(target)) continue;
    await rename(path, target);
    return;
  }
}

/** Removes the oldest of the files that were set aside. */
async function prune(path: string, keep: number): Promise<void> {
  const stem = basename(path, '.log');
  const isAside = (name: string) => name.startsWith(`${stem}-2`) && name.endsWith('.log');
  const aside = (await readdir(dirname(path))).filter(isAside).toSorted();
  const old = keep === 0 ? aside : aside.slice(0, -keep);
  for (const name of old) await rm(join(dirname(path), name), { force: true });
}
