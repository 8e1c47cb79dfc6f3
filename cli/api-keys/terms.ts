/** The options of `create` and `update` that say from where, how much and how long a key may be used. */
import { type KeyChange, KeyInput, NO_ORIGIN } from '../../src/admission';
import { FlmError } from '../../src/lib/errors';
import { DURATION, parseDuration } from '../duration';

const { rotate_every_s: EVERY, rotate_grace_s: GRACE } = KeyInput.properties;

/** What takes a term off again. */
const ANY = 'any';
const POLICY = 'policy';
const NONE = 'none';
const NEVER = 'never';

export const TERM_ARGS = {
  cidr: {
    type: 'string',
    valueHint: '192.168.0.0/16',
    description: `An address or network it may be used from (repeatable; "${ANY}": from anywhere).`,
  },
  origin: {
    type: 'string',
    valueHint: 'https://app.example',
    description: `A web page's origin it may be used by (repeatable; "${NO_ORIGIN}": programs too; "${ANY}": all).`,
  },
  'client-certificate': {
    type: 'string',
    valueHint: 'FINGERPRINT',
    description: `SHA-256 of a client certificate it may be used with (repeatable; "${ANY}": without, too).`,
  },
  rpm: {
    type: 'string',
    valueHint: '60',
    description: `Requests a minute ("${NONE}": no limit; "${POLICY}": as the security policy has it).`,
  },
  burst: {
    type: 'string',
    valueHint: '10',
    description: 'Requests at once, refilled evenly. Default: as many as a minute has.',
  },
  tpm: {
    type: 'string',
    valueHint: '100000',
    description: `Tokens a minute, asked and answered ("${NONE}": no limit; "${POLICY}": as the policy has it).`,
  },
  parallel: {
    type: 'string',
    valueHint: '4',
    description: `Requests under way at once ("${NONE}": no limit).`,
  },
  'rotate-every': {
    type: 'string',
    valueHint: '30d',
    description: `Replace it by itself after this time: ${DURATION} ("${NEVER}": not any more).`,
  },
  'rotate-grace': {
    type: 'string',
    valueHint: '7d',
    description: 'How long the old key then works on. Default: a quarter of the time, at most 7d.',
  },
} as const;

/** What the admin API calls them. */
export const TERM_FLAGS = {
  cidrs: '--cidr',
  origins: '--origin',
  client_certificates: '--client-certificate',
  requests_per_minute: '--rpm',
  burst: '--burst',
  tokens_per_minute: '--tpm',
  parallel_requests: '--parallel',
  rotate_every_s: '--rotate-every',
  rotate_grace_s: '--rotate-grace',
} as const satisfies { readonly [Field in keyof KeyChange]?: string };

/** Options of these that may be given more than once. */
export const TERM_LISTS = ['cidr', 'origin', 'client-certificate'] as const;

type TermArgs = { readonly [Name in keyof typeof TERM_ARGS]?: string | undefined };

/** What was given, and nothing else. @throws INVALID_INPUT naming the option */
export function termsIn(
  args: TermArgs,
  all: (name: (typeof TERM_LISTS)[number]) => readonly string[],
): KeyChange {
  const given: { -readonly [Name in keyof KeyChange]?: KeyChange[Name] } = {};
  if (all('cidr').length > 0) given.cidrs = listOf('--cidr', all('cidr'));
  if (all('origin').length > 0) given.origins = listOf('--origin', all('origin'));
  if (all('client-certificate').length > 0)
    given.client_certificates = listOf('--client-certificate', all('client-certificate'));
  if (args.rpm !== undefined) given.requests_per_minute = limitIn('--rpm', args.rpm);
  if (args.burst !== undefined) given.burst = wholeIn('--burst', args.burst, 1);
  if (args.tpm !== undefined) given.tokens_per_minute = limitIn('--tpm', args.tpm);
  if (args.parallel !== undefined)
    given.parallel_requests = args.parallel === NONE ? null : wholeIn('--parallel', args.parallel, 1);
  const every = args['rotate-every'];
  if (every !== undefined)
    given.rotate_every_s = every === NEVER ? null : parseDuration('--rotate-every', every, EVERY);
  const grace = args['rotate-grace'];
  if (grace !== undefined) given.rotate_grace_s = parseDuration('--rotate-grace', grace, GRACE);
  return given;
}

function listOf(option: string, words: readonly string[]): string[] | null {
  if (!words.includes(ANY)) return [...words];
  if (words.length === 1) return null;
  throw invalid(option, `"${ANY}" stands alone`);
}

function limitIn(option: string, text: string): number | null {
  if (text === POLICY) return null;
  return text === NONE ? 0 : wholeIn(option, text, 1);
}

function wholeIn(option: string, text: string, least: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= 1_000_000_000) return value;
  throw invalid(option, `"${text}" is no whole number from ${least} on`);
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
