/**
 * The screen in front of all routes (contract/screen): who may come at all, who is banned, what strangers did. For somebody
 * who has a key and comes from an address that did nothing, it is two look-ups.
 */
import type { Clock, RefusalReason, Screen, Visit } from '../contract';
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import { ipBucket, isLoopback, parseIp } from '../lib/ip';
import { redact } from '../lib/redact';
import type { CurrentPolicy, Policy } from '../policy';
import type { Ban, Bans } from './bans';
import { DETECTORS, detect, type Signal } from './detectors';
import { type Facts, factsOf, isPreflight, pathStart, showsCredentials } from './facts';
import type { Journal } from './journal';
import { type Network, parseNetwork } from './networks';
import type { Watch } from './resources';
import { type Rules, rulesOf } from './rules';
import { sentenceFor } from './sentence';
import type { Standing, Standings } from './standing';
import type { Tarpit } from './tarpit';

/**
 * Counts a request of a stranger by its address; `share` is the part of the limit that the address gets.
 * @throws RATE_LIMITED
 */
export type AdmitStranger = (visit: Visit, share: number) => void;

export interface ScreenOptions {
  readonly policy: CurrentPolicy;
  /** Whether a listener can be reached from other machines. */
  readonly isExposed: () => boolean;
  readonly bans: Bans;
  readonly standings: Standings;
  readonly journal: Journal;
  readonly watch: Watch;
  readonly tarpit: Tarpit;
  readonly admitStranger: AdmitStranger;
  readonly clock: Clock;
  readonly bus: Bus;
}

export interface Guard extends Screen {
  /** What the policy says at this moment; null: it cannot be read. */
  rules(): Rules | null;
}

/** What does not change about an address while the policy and the owner's bans do not. */
interface Face {
  /** Null for what is no address: nothing is held against it. */
  readonly network: Network | null;
  readonly bucket: string;
  /** This machine, or somebody who is never banned. */
  readonly isFree: boolean;
  readonly isAllowed: boolean;
  readonly ban: Ban | null;
}

/** Addresses that are remembered. */
const MAX_FACES = 20_000;
/** How often FLM looks whether it can be reached from outside. */
const EXPOSURE_MS = 1_000;
/** What one request can count at most: nobody is banned for a single one. */
const MAX_SCORE = 60;
const RETRY_SECONDS = 10;
/** What stands in for a path or User-Agent in a record. */
const MAX_TEXT = 200;
const PROBES: ReadonlySet<string> = new Set(['/health', '/ready']);

/** What a failure counts (FLM-112): guesses whole, slips and other people's keys half, ended keys and no key nothing. */
const WEIGHTS = {
  missing_authorization_header: 0,
  invalid_authorization_format: 0.5,
  mistyped_api_key: 0.5,
  invalid_or_revoked_api_key: 1,
  ended_api_key: 0,
} as const satisfies Record<RefusalReason, number>;

export function createScreen(options: ScreenOptions): Guard {
  const { policy, isExposed, bans, standings, journal, watch, tarpit, admitStranger, clock, bus } = options;
  const faces = new Map<string, Face>();
  let known: Policy | null = null;
  let rules: Rules | null = null;
  let exposed = false;
  let exposedAtMs = Number.NEGATIVE_INFINITY;
  let revision = bans.revision;

  function rulesNow(): Rules | null {
    const current = policy();
    const nowMs = clock.monotonicMs();
    let isOther = current !== known;
    if (nowMs - exposedAtMs >= EXPOSURE_MS) {
      exposedAtMs = nowMs;
      const wasExposed = exposed;
      exposed = isExposed();
      isOther ||= exposed !== wasExposed;
    }
    if (isOther) {
      known = current;
      rules = current === null ? null : rulesOf(current, exposed);
      faces.clear();
      if (rules !== null) lift(rules);
    }
    if (revision !== bans.revision) {
      revision = bans.revision;
      faces.clear();
    }
    return rules;
  }

  /** The list of those who are never banned wins over bans there are. */
  function lift({ never }: Rules): void {
    if (never.size === 0) return;
    const lifted = bans.all().filter((ban) => ban.isAutomatic && never.find(ban.network) !== null);
    for (const ban of lifted) {
      bans.lift(ban);
      standings.forget(ban.network.text);
      journal.forgotten(ban.network.text);
      tell(ban, 'lifted');
    }
    journal.lifted(lifted);
    if (lifted.length > 0)
      journal.record('security.unbanned', 'low', {
        reason: 'they are on the list of those who are never banned',
        count: lifted.length,
      });
  }

  function tell({ network, isAutomatic, reason }: Ban, state: 'banned' | 'lifted'): void {
    bus.publish({ name: 'security.ban', network: network.text, state, isAutomatic, reason });
  }

  function faceOf(ip: string, now: Rules): Face {
    let face = faces.get(ip);
    if (face === undefined) {
      face = lookAt(ip, now);
      if (faces.size >= MAX_FACES) faces.clear();
      faces.set(ip, face);
    }
    return face;
  }

  function lookAt(ip: string, now: Rules): Face {
    const address = parseIp(ip);
    const network = address === null ? null : parseNetwork(address);
    if (address === null || network === null) {
      const isAllowed = now.allowed === null;
      return { network: null, bucket: ip.slice(0, 45), isFree: true, isAllowed, ban: null };
    }
    const isHere = isLoopback(address);
    const isFree = isHere || now.never.find(network) !== null;
    return {
      network,
      bucket: ipBucket(address),
      isFree,
      isAllowed: isHere || now.allowed === null || now.allowed.find(network) !== null,
      ban: isFree ? null : bans.manual(network),
    };
  }

  function bannedNow({ isFree, bucket }: Face, now: Rules): Ban | null {
    if (isFree || bans.automaticCount === 0 || !now.bans.isOn) return null;
    return bans.automatic(bucket);
  }

  function refuse(ban: Ban): never {
    ban.refused++;
    ban.lastRefusedAtMs = clock.monotonicMs();
    throw new FlmError('IP_BLOCKED');
  }

  /** Bans the address when what it has just done is enough for that. */
  function judge(
    standing: Standing,
    before: Parameters<typeof sentenceFor>[1],
    now: Rules,
    visit: Visit,
  ): boolean {
    const sentence = sentenceFor(standing, before, now);
    const network = sentence === null ? null : parseNetwork(standing.bucket);
    if (sentence === null || network === null) return false;
    const { ban, displaced } = bans.put({ network, isAutomatic: true, bannedBy: 'flm', ...sentence });
    standing.banned(ban.endsAtMs);
    journal.lifted(displaced);
    journal.standing(standing);
    journal.ban(ban, visit.id);
    tell(ban, 'banned');
    return true;
  }

  function score(
    standing: Standing,
    signals: readonly Signal[],
    now: Rules,
    facts: Facts,
    visit: Visit,
  ): void {
    let left = MAX_SCORE;
    for (const { pattern, score: wanted } of signals) {
      const { kind, severity } = DETECTORS[pattern];
      const isAnomaly = kind === 'anomaly';
      if (!(isAnomaly ? now.anomaly : now.intrusion).isOn || left === 0) continue;
      const points = Math.min(wanted, left);
      left -= points;
      if (isAnomaly) standing.anomaly += points;
      else standing.intrusion += points;
      const total = isAnomaly ? standing.anomaly : standing.intrusion;
      const { id: requestId } = visit;
      const { bucket: ip } = standing;
      bus.publish({ name: 'security.signal', requestId, ip, kind, pattern, score: points, total, severity });
      const row = {
        atMs: clock.nowMs(),
        kind,
        ip,
        pattern,
        score: points,
        total,
        requestId,
        method: shown(facts.method),
        path: shown(facts.path),
        userAgent: shown(facts.userAgent),
        details: null,
      };
      journal.signal(row, severity);
    }
    if (left < MAX_SCORE) journal.standing(standing);
  }

  return {
    rules: rulesNow,

    arrive(visit) {
      const now = rulesNow();
      if (now === null)
        throw new FlmError('POLICY_UNREADABLE', { meta: { reason: 'it is not what FLM has stored' } });
      const face = faceOf(visit.ip, now);
      if (!face.isAllowed) throw new FlmError('IP_NOT_ALLOWED');
      if (face.ban !== null) {
        // It may have ended since the address was looked at; then a wider one may still hold.
        const ban = face.network === null ? null : bans.manual(face.network);
        if (ban !== null) refuse(ban);
      }
      // Whoever shows a key is judged by it: a valid one passes, wherever it comes from.
      const banned = bannedNow(face, now);
      if (banned !== null && !showsCredentials(visit.request) && !isHarmless(visit.request)) refuse(banned);
      if (watch.scarce !== null && now.resources.isOn && !PROBES.has(pathOf(visit.request)))
        throw new FlmError('RESOURCE_THROTTLE', {
          meta: { resource: watch.scarce, retryAfterSeconds: RETRY_SECONDS },
        });
    },

    stranger(visit, reason) {
      const now = rulesNow();
      if (now === null) return;
      const face = faceOf(visit.ip, now);
      const banned = bannedNow(face, now);
      if (banned !== null) refuse(banned);
      if (!face.isFree && now.bans.isOn && WEIGHTS[reason] > 0) {
        const nowMs = clock.monotonicMs();
        const standing = standings.of(face.bucket, nowMs);
        standing.fade(nowMs);
        const before = {
          failures: standing.failures,
          intrusion: standing.intrusion,
          anomaly: standing.anomaly,
        };
        standing.fail(WEIGHTS[reason], keyHashOf(visit.request), nowMs, clock.nowMs());
        if (!judge(standing, before, now, visit)) journal.standing(standing);
      }
      admitStranger(visit, shareFor(standings.get(face.bucket)));
    },

    hold(visit, status) {
      const now = rulesNow();
      if (now === null || !(now.intrusion.isOn || now.anomaly.isOn)) return null;
      const face = faceOf(visit.ip, now);
      // Whoever is refused for good is not looked at any more: attempts while banned count for nothing (FLM-112).
      if (face.isFree || face.ban !== null || !face.isAllowed || bannedNow(face, now) !== null) return null;
      if (isHarmless(visit.request) || status >= 500) return null;
      const nowMs = clock.monotonicMs();
      const facts = factsOf(visit.request, status);
      const standing = standings.of(face.bucket, nowMs);
      const recent = standing.note(facts, nowMs, now.anomaly.requestsPerSecond);
      const signals = detect(facts, recent);
      if (signals.length > 0) {
        const before = {
          failures: standing.failures,
          intrusion: standing.intrusion,
          anomaly: standing.anomaly,
        };
        score(standing, signals, now, facts, visit);
        if (judge(standing, before, now, visit)) return null;
      }
      const isBad = standing.intrusion >= now.intrusion.warnAt || standing.anomaly >= now.anomaly.warnAt;
      return isBad ? tarpit.hold() : null;
    },

    known(visit) {
      if (standings.size === 0) return;
      const now = rulesNow();
      if (now === null) return;
      const face = faceOf(visit.ip, now);
      const standing = standings.get(face.bucket);
      if (standing === undefined || standing.isClean) return;
      standing.forgive(clock.monotonicMs());
      if (standing.isClean && standing.bans === 0) {
        standings.forget(standing.bucket);
        journal.forgotten(standing.bucket);
      } else journal.standing(standing);
    },
  };
}

/** Preflights, which never show a key, and the probes of whoever looks after FLM. */
function isHarmless(request: Request): boolean {
  return isPreflight(request) || PROBES.has(pathOf(request));
}

/** The whole target: a probe with a query is none. */
function pathOf({ url }: Request): string {
  return url.slice(pathStart(url));
}

/** Tells one wrong key from another; never leaves this process. */
function keyHashOf({ headers }: Request): number | null {
  const key = headers.get('authorization') ?? headers.get('x-api-key');
  return key === null ? null : Bun.hash.crc32(key);
}

function shown(text: string | null): string | null {
  return text === null ? null : redact(text.slice(0, MAX_TEXT).toWellFormed());
}

/** The part of the limit of requests that an address gets (FLM-110). */
function shareFor(standing: Standing | undefined): number {
  const score = Math.max(standing?.intrusion ?? 0, standing?.anomaly ?? 0);
  if (score >= 100) return 0.5;
  return score >= 50 ? 0.75 : 1;
}
