/** An end of the request log as it was put on record, read back. */
import type { ActivityAnchor } from '../contract';
import { isRecord } from '../lib/json';

/** The anchor in the details of a row of the audit chain; none where it says something else. */
export function anchorIn(details: unknown): ActivityAnchor[] {
  if (!isRecord(details)) return [];
  const { day, block, digest, rows } = details;
  if (typeof day !== 'string' || typeof digest !== 'string') return [];
  return typeof block === 'number' && typeof rows === 'number' ? [{ day, block, digest, rows }] : [];
}
