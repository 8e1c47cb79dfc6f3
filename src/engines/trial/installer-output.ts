/** Reads what pip and uv print: lines for the person who waits, and the cause when it fails, in a few words. */
import { redact } from '../../lib/redact';
import { DISK_BYTES } from './packages';

/** Megabytes as pip counts them: 1 MB = 1,000,000 bytes. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}

/** Steps of a download that are shown, in percent. */
const STEP_PERCENT = 10;

/**
 * A function that turns an installer's line into one worth showing; null for those that are not.
 * pip counts bytes several times a second when nobody looks at a terminal: ten lines a package are enough.
 */
export function createProgressFilter(): (line: string) => string | null {
  let shownPercent = 0;
  return (line) => {
    const text = redact(line.trim());
    const counted = /^Progress (\d+) of (\d+)$/.exec(text);
    if (!counted) return text === '' ? null : text;
    const [done, total] = [Number(counted[1]), Number(counted[2])];
    const percent = total > 0 ? Math.floor((done * 100) / total / STEP_PERCENT) * STEP_PERCENT : 0;
    if (percent === shownPercent) return null;
    shownPercent = percent;
    return percent === 0 ? null : `${percent} % of ${megabytes(total)}`;
  };
}

/**
 * What an installer's words mean, the surest first: out of disk space pip also speaks of a broken connection,
 * and without a network it ends with "no matching distribution".
 */
const CAUSES: readonly (readonly [RegExp, string])[] = [
  [/No space left on device|Errno 28|os error 28|os error 112|not enough space/i, fullDisk()],
  [/Disk quota exceeded|Errno 122|os error 122/i, 'the disk quota is used up'],
  [
    /DO NOT MATCH THE HASHES|Hash mismatch/i,
    'a downloaded package is not the one FLM expects (its SHA-256 differs)',
  ],
  [
    /CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError|invalid peer certificate|UnknownIssuer/i,
    'the certificate of the package index is not trusted here',
  ],
  [/407 Proxy Authentication|Proxy Authentication Required/i, 'the network proxy wants a password'],
  [
    /NewConnectionError|Failed to establish a new connection|NameResolutionError|ProxyError|ConnectTimeout|Read timed out|Connection (?:refused|reset|aborted|broken)|Network is unreachable|name resolution|dns error|tcp connect error|error sending request|operation timed out|Could not connect/i,
    'the package index cannot be reached, is there a network?',
  ],
  [/Permission denied|Errno 13|os error 13\b/i, 'a file may not be written here'],
  // pip says the same of an index that does not answer and of one without the package; elsewhere it lists versions.
  [/from versions: none/i, 'the package index cannot be reached, or does not have it'],
  [
    /No matching distribution|Could not find a version|no version of|has no wheels/i,
    'the package index has no build of it for this machine',
  ],
];

/** The cause when there is no room, found before or while installing. */
export function fullDisk(): string {
  return `the disk is full, it needs ${megabytes(DISK_BYTES)}`;
}

/** Why an installer that printed `lines` failed, for TRIAL_UNAVAILABLE's `{reason}`. */
export function explainFailure(installer: string, lines: readonly string[]): string {
  for (const [pattern, cause] of CAUSES) if (lines.some((line) => pattern.test(line))) return cause;
  const said =
    lines.findLast((line) => /^\s*(?:error|fatal)\b/i.test(line)) ?? lines.findLast((line) => line.trim());
  const words = said
    ?.trim()
    .replace(/[.\s]+$/, '')
    .slice(0, 200);
  return words ? `${installer} says "${redact(words)}"` : `${installer} failed without a word`;
}
