/** The file inside an installed engine that makes it one, and says which Python runs it. */
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Static } from '@sinclair/typebox';
import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { newId } from '../../lib/ids';

const InstallRecord = Type.Object({
  /** Absolute path of the interpreter the packages were installed for. */
  python: Type.String({ minLength: 1 }),
  installedAtMs: Type.Number(),
});
export type InstallRecord = Static<typeof InstallRecord>;

/** Whether the directory holds a whole engine: the record is written last, before it gets its final name. */
export function isInstalled(engineDir: string): boolean {
  return existsSync(recordFile(engineDir));
}

/** The record of an installed engine; null where there is none, or none that can be understood. */
export async function readRecord(engineDir: string): Promise<InstallRecord | null> {
  try {
    const record: unknown = JSON.parse(await readFile(recordFile(engineDir), 'utf8'));
    return Value.Check(InstallRecord, record) ? record : null;
  } catch {
    return null;
  }
}

/** Writes the record at once: a reader sees the old or the new one. */
export async function writeRecord(engineDir: string, record: InstallRecord): Promise<void> {
  const temporary = join(engineDir, `.record-${newId()}`);
  await writeFile(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  await rename(temporary, recordFile(engineDir));
}

function recordFile(engineDir: string): string {
  return join(engineDir, 'flm-trial.json');
}
