/** The folder of the request log: which days are in it, under which names, and how much room they take. */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DayOpener } from '../../db/days';
import { ensurePrivateDir } from '../lib/files';
import { createDayStore, type DayStore } from './store';

export interface DayFiles {
  /** The days that are here, oldest first. */
  days(): readonly string[];
  /** The days that were archived and still lie where they were put, oldest first. */
  archived(): readonly string[];
  /** Opens the file of a day, made when it is not there (`write`). */
  open(day: string, mode: 'read' | 'write'): DayStore;
  /** Opens the archived file of a day. */
  openArchived(day: string, mode: 'read' | 'write'): DayStore;
  /** Bytes that a day's file and its journal take. */
  bytesOf(day: string): number;
  remove(day: string): void;
  /** Gives the file of a day another name, which it returns. */
  setAside(day: string, nowMs: number): string;
  /** Moves a day that nobody has open to the archive. */
  archive(day: string): void;
}

const NAME = /^(\d{4}-\d{2}-\d{2})\.db$/;
const PARTS = ['', '-wal', '-shm'] as const;

export function createDayFiles(dir: string, opener: DayOpener): DayFiles {
  const archiveDir = join(dir, 'archive');
  const pathOf = (day: string) => join(dir, `${day}.db`);
  const daysIn = (folder: string) =>
    !existsSync(folder)
      ? []
      : readdirSync(folder)
          .flatMap((name) => NAME.exec(name)?.[1] ?? [])
          .sort();
  return {
    days: () => daysIn(dir),
    archived: () => daysIn(archiveDir),
    open(day, mode) {
      ensurePrivateDir(dir);
      return createDayStore(opener.open(pathOf(day), mode));
    },
    openArchived: (day, mode) => createDayStore(opener.open(join(archiveDir, `${day}.db`), mode)),
    bytesOf: (day) =>
      PARTS.reduce(
        (sum, part) => sum + (statSync(pathOf(day) + part, { throwIfNoEntry: false })?.size ?? 0),
        0,
      ),
    remove(day) {
      // The journal first: alone, it would be taken for that of a file of the same name.
      for (const part of [...PARTS].reverse()) rmSync(pathOf(day) + part, { force: true });
    },
    setAside(day, nowMs) {
      const name = `${day}.db.damaged-${nowMs}`;
      for (const part of PARTS)
        if (existsSync(pathOf(day) + part)) renameSync(pathOf(day) + part, join(dir, `${name}${part}`));
      return name;
    },
    archive(day) {
      ensurePrivateDir(archiveDir);
      const store = createDayStore(opener.open(pathOf(day), 'write'));
      try {
        store.checkpoint();
      } finally {
        store.close();
      }
      for (const part of ['-wal', '-shm']) rmSync(pathOf(day) + part, { force: true });
      renameSync(pathOf(day), join(archiveDir, `${day}.db`));
    },
  };
}
