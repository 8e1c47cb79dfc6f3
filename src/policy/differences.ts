/** What differs between two documents, as paths: what a person wants to know of a change, and what is put on record. */
import { isRecord } from '../lib/json';
import { pointer } from './rules';

/** JSON pointers to everything that differs; lists are compared as a whole. What was no document before was empty. */
export function differences(before: unknown, after: unknown): string[] {
  return differencesAt('', isRecord(before) ? before : {}, after);
}

function differencesAt(path: string, before: unknown, after: unknown): string[] {
  if (isRecord(before) && isRecord(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) =>
      differencesAt(`${path}/${pointer(key)}`, own(before, key), own(after, key)),
    );
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [path];
}

function own(record: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
