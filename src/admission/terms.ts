/**
 * What the owner of a key lays down beside its scopes and models: from where it may be used, how much, and when it is
 * replaced. As it is stored, as it is told, and as it is obeyed.
 */
import type { Visit } from '../contract';
import { FlmError } from '../lib/errors';
import { type IpSet, parseIpSet } from '../lib/ip';
import { checkNetworks } from '../lib/networks';
import { type Limit, limitOf } from './limits/meter';
import type { ApiKey, KeyChange, KeyInput } from './model';

export interface KeyTerms {
  /** Addresses and networks; null = any. */
  readonly cidrs: readonly string[] | null;
  /** Origins of web pages, and NO_ORIGIN; null = any. */
  readonly origins: readonly string[] | null;
  /** SHA-256 of client certificates, 64 hexadecimal digits each; null = with any, and without. */
  readonly certificates: readonly string[] | null;
  /** Null: those of the policy; 0: no limit. */
  readonly requestsPerMinute: number | null;
  readonly burst: number | null;
  readonly tokensPerMinute: number | null;
  /** Null: no limit. */
  readonly parallelRequests: number | null;
  /** Null: never. */
  readonly rotateEveryMs: number | null;
  readonly rotateGraceMs: number | null;
}

export const NO_TERMS: KeyTerms = {
  cidrs: null,
  origins: null,
  certificates: null,
  requestsPerMinute: null,
  burst: null,
  tokensPerMinute: null,
  parallelRequests: null,
  rotateEveryMs: null,
  rotateGraceMs: null,
};

/** In a list of origins: whoever sends none, as programs do. */
export const NO_ORIGIN = 'none';

type TermsInput = Pick<
  KeyChange,
  | 'cidrs'
  | 'origins'
  | 'client_certificates'
  | 'requests_per_minute'
  | 'burst'
  | 'tokens_per_minute'
  | 'parallel_requests'
  | 'rotate_every_s'
  | 'rotate_grace_s'
>;

/** Grace of a rotation for which none was asked: a quarter of the time between two, and at most a week. */
const MAX_GRACE_MS = 604_800_000;

/**
 * The terms after what is given has taken the place of what was; null in it goes back to none.
 * @throws INVALID_INPUT for what cannot be meant
 */
export function termsOf(input: TermsInput | KeyInput, before: KeyTerms = NO_TERMS): KeyTerms {
  const or = <Value>(given: Value | null | undefined, was: Value | null) =>
    given === undefined ? was : given;
  const inMs = (seconds: number | null | undefined) =>
    seconds === null || seconds === undefined ? seconds : seconds * 1_000;
  const rotateEveryMs = or(inMs(input.rotate_every_s), before.rotateEveryMs);
  const requestsPerMinute = or(input.requests_per_minute, before.requestsPerMinute);
  const grace = or(inMs(input.rotate_grace_s), before.rotateGraceMs);
  if (rotateEveryMs === null && typeof input.rotate_grace_s === 'number')
    throw invalid('rotate_grace_s', 'there is no rotation that it could belong to: give rotate_every_s, too');
  if (rotateEveryMs !== null && grace !== null && grace >= rotateEveryMs)
    throw invalid('rotate_grace_s', 'the grace must be shorter than the time between two rotations');
  const isLimited = requestsPerMinute !== null && requestsPerMinute > 0;
  if (!isLimited && typeof input.burst === 'number')
    throw invalid('burst', 'it belongs to a limit of requests per minute: give requests_per_minute, too');
  return {
    cidrs: input.cidrs === undefined ? before.cidrs : networksOf(input.cidrs),
    origins: input.origins === undefined ? before.origins : originsOf(input.origins),
    certificates:
      input.client_certificates === undefined
        ? before.certificates
        : (input.client_certificates?.map(idOf) ?? null),
    requestsPerMinute,
    burst: isLimited ? or(input.burst, before.burst) : null,
    tokensPerMinute: or(input.tokens_per_minute, before.tokensPerMinute),
    parallelRequests: or(input.parallel_requests, before.parallelRequests),
    rotateEveryMs,
    rotateGraceMs:
      rotateEveryMs === null ? null : (grace ?? Math.min(MAX_GRACE_MS, Math.floor(rotateEveryMs / 4))),
  };
}

function networksOf(cidrs: readonly string[] | null): readonly string[] | null {
  if (cidrs === null) return null;
  try {
    checkNetworks(cidrs);
  } catch (error) {
    throw invalid('cidrs', error instanceof Error ? error.message : 'it cannot be read');
  }
  return cidrs;
}

function originsOf(origins: readonly string[] | null): readonly string[] | null {
  return origins?.map(originOf) ?? null;
}

/** As browsers send it (RFC 6454 §6.2). */
function originOf(text: string): string {
  if (text === NO_ORIGIN) return text;
  const url = URL.parse(text);
  // A path or a query would be ignored, and `https:` alone has an origin that is called null.
  if (url === null || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/` || text.endsWith('/'))
    throw invalid('origins', `"${text}" is no origin such as https://app.example or http://localhost:5173`);
  return url.origin;
}

/** With colons, as openssl shows it, or without. */
function idOf(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}

/** The terms as the admin API tells them. */
export function termsView(terms: KeyTerms) {
  const seconds = (ms: number | null) => (ms === null ? null : Math.round(ms / 1_000));
  return {
    cidrs: terms.cidrs === null ? null : [...terms.cidrs],
    origins: terms.origins === null ? null : [...terms.origins],
    client_certificates: terms.certificates === null ? null : [...terms.certificates],
    requests_per_minute: terms.requestsPerMinute,
    burst: terms.burst,
    tokens_per_minute: terms.tokensPerMinute,
    parallel_requests: terms.parallelRequests,
    rotate_every_s: seconds(terms.rotateEveryMs),
    rotate_grace_s: seconds(terms.rotateGraceMs),
  } satisfies Partial<ApiKey>;
}

/** What requests of a key are measured by. */
export interface KeyRules {
  readonly requests: Limit | 'none' | 'policy';
  readonly tokens: Limit | 'none' | 'policy';
  readonly parallel: number | null;
  /** @throws KEY_ADDRESS_REFUSED, KEY_ORIGIN_REFUSED, KEY_CERTIFICATE_REFUSED */
  checkPlace(visit: Pick<Visit, 'ip' | 'request' | 'certificate'>): void;
}

/** Of the owner's own keys, which nobody limits. */
export const OWNER_RULES: KeyRules = { requests: 'none', tokens: 'none', parallel: null, checkPlace() {} };

/** Null for a key that nothing was laid down for: the policy's limits hold. */
export function rulesFor(keyId: string, terms: KeyTerms): KeyRules | null {
  const { cidrs, origins, certificates, requestsPerMinute, burst, tokensPerMinute, parallelRequests } = terms;
  const places = [cidrs, origins, certificates];
  if ([...places, requestsPerMinute, tokensPerMinute, parallelRequests].every((term) => term === null))
    return null;
  const isNear = cidrs === null ? null : remembered(parseIpSet(cidrs));
  const pages = origins === null ? null : new Set(origins);
  return {
    requests: ownLimit(requestsPerMinute, burst),
    tokens: ownLimit(tokensPerMinute, null),
    parallel: parallelRequests,
    checkPlace({ ip, request, certificate }) {
      if (certificates !== null && !certificates.includes(certificate?.fingerprint ?? ''))
        throw new FlmError('KEY_CERTIFICATE_REFUSED', { meta: { key: keyId } });
      if (isNear !== null && !isNear(ip)) throw new FlmError('KEY_ADDRESS_REFUSED', { meta: { key: keyId } });
      if (pages === null) return;
      const origin = request.headers.get('origin') ?? NO_ORIGIN;
      if (pages.has(origin)) return;
      const from = origin === NO_ORIGIN ? 'a program that names no web page' : `"${origin.slice(0, 300)}"`;
      throw new FlmError('KEY_ORIGIN_REFUSED', { meta: { key: keyId, from } });
    },
  };
}

function ownLimit(perMinute: number | null, burst: number | null): Limit | 'none' | 'policy' {
  if (perMinute === null) return 'policy';
  return limitOf(perMinute, burst) ?? 'none';
}

/** Addresses of one key whose networks were looked up. */
const MAX_REMEMBERED = 256;

/** A long list is not walked for every request of the same client. */
function remembered(set: IpSet): (ip: string) => boolean {
  const known = new Map<string, boolean>();
  return (ip) => {
    let isIn = known.get(ip);
    if (isIn === undefined) {
      isIn = hasAddress(set, ip);
      if (known.size >= MAX_REMEMBERED) known.clear();
      known.set(ip, isIn);
    }
    return isIn;
  };
}

/** What is no address (a connection that is gone) is on no list. */
function hasAddress(set: IpSet, ip: string): boolean {
  try {
    return set.has(ip);
  } catch {
    return false;
  }
}
