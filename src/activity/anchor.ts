/** What was put on record of the request log, read back. */
import type { ActivityAnchor, ActivityRemoval } from '../contract';
import { isRecord } from '../lib/json';

/** The anchor in the details of a row of the audit chain; none where it says something else. */
export function anchorIn(details: unknown): ActivityAnchor[] {
  if (!isRecord(details)) return [];
  const { day, block, digest, rows } = details;
  if (typeof day !== 'string' || typeof digest !== 'string') return [];
  return typeof block === 'number' && typeof rows === 'number' ? [{ day, block, digest, rows }] : [];
}

/** The day in the details of a row that says that it was removed or archived. */
export function removalIn(details: unknown): ActivityRemoval[] {
  if (!isRecord(details) || typeof details.day !== 'string') return [];
  const { day, first_block: first, last_block: last, digest } = details;
  return [
    {
      day,
      firstBlock: typeof first === 'number' ? first : null,
      block: typeof last === 'number' ? last : null,
      digest: typeof digest === 'string' ? digest : null,
    },
  ];
}
