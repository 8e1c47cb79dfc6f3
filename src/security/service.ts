/** Abuse protection as a whole: the screen, what the owner sees and changes of it, and what happens by the clock. */
import type { AuditEvent, Clock, Screen } from '../contract';
import { currentActor } from '../lib/actor';
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import { readNetwork } from '../lib/networks';
import type { CurrentPolicy } from '../policy';
import { type Ban, type Bans, createBans, storedBan } from './bans';
import { DETECTORS, PATTERNS } from './detectors';
import { createJournal, publicName } from './journal';
import { createMachine, type ReadMachine } from './machine';
import type { BanView, SecurityApi, SecurityStats } from './model';
import { contains, type Network, parseNetwork, parseSource } from './networks';
import { createWatch } from './resources';
import { rulesOf } from './rules';
import { type AdmitStranger, createScreen } from './screen';
import { createStandings, Standing } from './standing';
import type { SecurityStore, SignalKind, SignalQuery, SignalRow } from './store';
import { createTarpit } from './tarpit';

export interface Security {
  readonly screen: Screen;
  readonly api: SecurityApi;
  /** Networks banned by the owner that hold so much of the world that it was probably not meant. */
  wideBans(): string[];
  /** Looks at the machine and writes what strangers do, until `stop`. */
  start(): void;
  /** Writes what waits, and lets another process go on. */
  stop(): void;
  /** The same, for good: nobody is kept waiting any more. */
  close(): void;
}

export interface SecurityOptions {
  readonly store: SecurityStore;
  readonly policy: CurrentPolicy;
  readonly isExposed: () => boolean;
  readonly admitStranger: AdmitStranger;
  /** Addresses from which somebody with a key came lately. */
  readonly clients: () => readonly string[];
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  readonly machine?: ReadMachine;
  readonly tarpitMs?: number;
  readonly bounds?: { readonly standings: number; readonly bans: number };
}

/** How long an answer is kept back, and how many at once. */
const TARPIT_MS = 2_000;
const MAX_HELD = 200;
const BOUNDS = { standings: 100_000, bans: 100_000 };
/** How many networks the owner may ban; more belong into a firewall. */
const MAX_MANUAL = 100_000;
/** Prefixes by width of address: a network that is larger holds half the world. */
const WIDEST: Readonly<Record<number, number>> = { 32: 8, 128: 16 };
/** How many clients are named that a ban would shut out. */
const SHOWN = 5;
const DEFAULT_LIMIT = 100;
const SAMPLE_MS = 5_000;
/** A turn that FLM waits for to see how long that takes. */
const TURN_MS = 50;
/** Wall time may drift this far before the ends of bans are written anew. */
const DRIFT_MS = 2_000;
const DAY_MS = 86_400_000;

export function createSecurity(options: SecurityOptions): Security {
  const { store, clock, bus, log } = options;
  const bounds = options.bounds ?? BOUNDS;
  const bans = createBans(clock, bounds.bans);
  const standings = createStandings(bounds.standings);
  const tarpit = createTarpit({ delayMs: options.tarpitMs ?? TARPIT_MS, maxHeld: MAX_HELD });
  const watch = createWatch();
  let readMachine = options.machine ?? null;
  let sampler: ReturnType<typeof setInterval> | null = null;
  /** Whether the database had everything when this process left it. */
  let isWritten = false;
  let offsetMs = clock.nowMs() - clock.monotonicMs();

  const journal = createJournal({
    store,
    clock,
    log,
    recordFrom: () => screen.rules()?.recordFrom ?? 'low',
    beforeFlush: tidy,
  });
  const screen = createScreen({
    policy: options.policy,
    isExposed: options.isExposed,
    bans,
    standings,
    journal,
    watch,
    tarpit,
    admitStranger: options.admitStranger,
    clock,
    bus,
  });
  restore();

  function restore(): void {
    const { bans: banned, standings: before } = store.load();
    for (const ban of banned) bans.restore(ban);
    const nowMs = clock.monotonicMs();
    const wallMs = clock.nowMs();
    for (const stored of before) {
      const ageMs = Math.max(0, wallMs - stored.lastAtMs);
      standings.add(Standing.restored(stored, nowMs, ageMs));
    }
  }

  /** Commands may have banned and lifted while this process had left the database. */
  function catchUp(): void {
    if (!isWritten) return;
    const stored = store.load().bans;
    const names = new Set(stored.map(({ network }) => network));
    for (const ban of bans.all()) if (!names.has(ban.network.text)) bans.lift(ban);
    for (const each of stored) {
      const network = parseNetwork(each.network);
      const known = network === null ? null : bans.exact(network);
      if (known === null || known.isAutomatic !== each.isAutomatic) bans.restore(each);
    }
  }

  function tidy(): void {
    for (const ban of bans.expire()) {
      journal.lifted([ban]);
      const { isAutomatic, reason, network } = ban;
      bus.publish({ name: 'security.ban', network: network.text, state: 'lifted', isAutomatic, reason });
    }
    const offset = clock.nowMs() - clock.monotonicMs();
    if (Math.abs(offset - offsetMs) < DRIFT_MS) return;
    // After a restart only wall time tells how long a ban has to go, so it must be that of the clock as it is now.
    offsetMs = offset;
    for (const ban of bans.all()) if (ban.endsAtMs !== null) journal.rewrite(ban);
  }

  /** Looks at the machine, after having seen how long FLM waits for its turn on it. */
  function sample(): void {
    const atMs = clock.monotonicMs();
    setTimeout(() => look(clock.monotonicMs() - atMs - TURN_MS), TURN_MS).unref();
  }

  function look(lateMs: number): void {
    const rules = screen.rules();
    if (sampler === null || rules === null || readMachine === null) return;
    const change = watch.look(readMachine(), lateMs, rules.resources);
    if (change === null) return;
    const { resource, state, percent } = change;
    if (state === 'enough') {
      log.info('the machine has enough again', { resource, percent });
      return;
    }
    log.warn('the machine is at its limit: FLM takes nothing new', { resource, percent });
    const pattern = resource.toLowerCase();
    const ip = '-';
    const [score, total] = [percent, percent];
    bus.publish({
      name: 'security.signal',
      requestId: null,
      ip,
      kind: 'resource',
      pattern,
      score,
      total,
      severity: 'high',
    });
    const nobody = { requestId: null, method: null, path: null, userAgent: null };
    const row: SignalRow = {
      atMs: clock.nowMs(),
      kind: 'resource',
      ip,
      pattern,
      score,
      total,
      ...nobody,
      details: null,
    };
    journal.signal(row, 'high');
  }

  function stop(): void {
    if (sampler !== null) clearInterval(sampler);
    sampler = null;
    isWritten = journal.stop();
  }

  function viewOf(ban: Ban): BanView {
    const { untilMs, bannedAtMs } = storedBan(ban, clock);
    const standing = standings.get(ban.network.text);
    const sinceMs = ban.lastRefusedAtMs === null ? null : clock.monotonicMs() - ban.lastRefusedAtMs;
    return {
      ip: ban.network.text,
      automatic: ban.isAutomatic,
      reason: ban.reason,
      blocked_at: iso(bannedAtMs),
      blocked_until: untilMs === null ? null : iso(untilMs),
      permanent_block: untilMs === null,
      blocked_by: ban.bannedBy,
      failure_count: Math.floor(standing?.failures ?? 0),
      first_failure_at: isoOrNull(standing?.firstFailureAtMs ?? null),
      refused: ban.refused,
      last_attempt: sinceMs === null ? null : iso(clock.nowMs() - sinceMs),
    };
  }

  /** @throws INVALID_INPUT for whoever must not be banned */
  function checkBan(network: Network): void {
    if (isHere(network)) throw invalid('ip', 'this machine itself cannot be banned');
    const { ip } = currentActor();
    const own = ip === null ? null : parseNetwork(ip);
    if (own !== null && contains(network, own))
      throw invalid('ip', 'it is the address you come from yourself');
    const rules = screen.rules();
    if (rules?.never.find(network) != null)
      throw invalid('ip', 'the policy lists it in ip_blocklist.never, so that it cannot be banned');
    if (bans.manualCount >= MAX_MANUAL) throw invalid('ip', `there are already ${MAX_MANUAL} bans`);
  }

  /** @throws BAN_LOCKS_OUT for what shuts out more than was probably meant. A single source is meant. */
  function checkLockOut(network: Network): void {
    if (isSource(network)) return;
    const used = options.clients().filter((ip) => {
      const client = parseNetwork(ip);
      return client !== null && contains(network, client) && !isFree(client) && bans.manual(client) === null;
    });
    const many = used.length > SHOWN ? `${used.slice(0, SHOWN).join(', ')}, …` : used.join(', ');
    if (used.length > 0)
      throw new FlmError('BAN_LOCKS_OUT', {
        meta: { ip: network.text, whom: `those who used FLM with a key in the last hour: ${many}` },
      });
    if (isWide(network))
      throw new FlmError('BAN_LOCKS_OUT', {
        meta: { ip: network.text, whom: `everybody in a network wider than /${WIDEST[network.width]}` },
      });
  }

  /** Whether no ban holds for it: this machine, and whom the policy lists. */
  function isFree(network: Network): boolean {
    return isHere(network) || screen.rules()?.never.find(network) != null;
  }

  /** Forgets what addresses of a network did. Returns their buckets. */
  function forget(network: Network): string[] {
    const buckets: string[] = [];
    for (const { bucket } of standings.values()) {
      const own = parseNetwork(bucket);
      if (own !== null && contains(network, own)) buckets.push(bucket);
    }
    for (const bucket of buckets) standings.forget(bucket);
    return buckets;
  }

  function tell({ network, isAutomatic, reason }: Ban, state: 'banned' | 'lifted'): void {
    bus.publish({ name: 'security.ban', network: network.text, state, isAutomatic, reason });
  }

  const api: SecurityApi = {
    async bans({ limit = DEFAULT_LIMIT, cursor }) {
      const after = cursor === undefined ? null : placeIn(cursor);
      const sorted = bans.all().sort(byAge);
      const rest = after === null ? sorted : sorted.filter((ban) => byAge(ban, after) > 0);
      const shown = rest.slice(0, limit);
      const last = shown.at(-1);
      const next =
        rest.length > limit && last !== undefined ? `${last.bannedAtMs}.${last.network.text}` : null;
      return { items: shown.map(viewOf), next };
    },

    async ban({ ip, reason = 'banned by the owner', for_s: seconds, force = false }) {
      const { problem } = readNetwork(ip);
      if (problem !== null) throw invalid('ip', problem);
      const network = requireSource(ip);
      checkBan(network);
      if (!force) checkLockOut(network);
      const actor = currentActor();
      const lengthMs = seconds === undefined ? null : seconds * 1_000;
      const wallMs = clock.nowMs();
      const details = { reason, automatic: false, for_s: seconds ?? null };
      const untilMs = lengthMs === null ? null : wallMs + lengthMs;
      const stored = {
        network: network.text,
        isAutomatic: false,
        reason,
        bannedAtMs: wallMs,
        untilMs,
        bannedBy: actor.id,
      };
      journal.change(
        { bans: [stored], lifted: [], forgotten: [] },
        eventOf('security.banned', { network }, details),
        actor,
      );
      const { ban } = bans.put({ network, isAutomatic: false, reason, lengthMs, bannedBy: actor.id });
      tell(ban, 'banned');
      return viewOf(ban);
    },

    async unban(text) {
      const network = requireSource(text);
      const ban = bans.exact(network);
      if (ban === null) throw notBanned(network, bans);
      const buckets = forget(network);
      const details = { reason: ban.reason, automatic: ban.isAutomatic };
      journal.change(
        { bans: [], lifted: [network.text], forgotten: buckets },
        eventOf('security.unbanned', ban, details),
        currentActor(),
      );
      bans.lift(ban);
      tell(ban, 'lifted');
      const wider = isFree(network) ? null : bans.manual(network);
      return { ip: network.text, unblocked: true, still_blocked_by: wider?.network.text ?? null };
    },

    async clearBans() {
      const all = bans.all();
      const ending = all.filter((ban) => ban.endsAtMs !== null);
      const lifted = ending.map(({ network }) => network.text);
      const kept = all.length - ending.length;
      const automatic = ending.filter((ban) => ban.isAutomatic).map(({ network }) => network.text);
      const details = { lifted: lifted.length, kept };
      const event: AuditEvent = { type: 'security.bans_cleared', severity: 'medium', target: null, details };
      journal.change({ bans: [], lifted, forgotten: automatic }, event, currentActor());
      for (const ban of ending) {
        bans.lift(ban);
        if (ban.isAutomatic) standings.forget(ban.network.text);
        tell(ban, 'lifted');
      }
      return { cleared: true, lifted: ending.length, kept };
    },

    async standing(text) {
      const network = requireSource(text);
      const rules = screen.rules();
      const standing = standings.get(network.text);
      standing?.fade(clock.monotonicMs());
      const isNever = isFree(network);
      const ban = isNever ? null : (bans.manual(network) ?? bans.automatic(network.text));
      return {
        ip: network.text,
        blocked: ban === null ? null : viewOf(ban),
        never_blocked: isNever,
        allowed: rules !== null && (rules.allowed === null || rules.allowed.find(network) !== null),
        failure_count: rounded(standing?.failures ?? 0),
        first_failure_at: isoOrNull(standing?.firstFailureAtMs ?? null),
        intrusion_score: rounded(standing?.intrusion ?? 0),
        anomaly_score: rounded(standing?.anomaly ?? 0),
        previous_blocks: standing?.bans ?? 0,
      };
    },

    async intrusions({ min_score: minScore, ...query }) {
      const page = read(['intrusion', 'honeypot'], { ...query, pattern: null, minScore: minScore ?? null });
      const items = page.rows.map((row) => ({
        id: row.id,
        ip: row.ip,
        pattern: row.pattern,
        score: row.score,
        total: rounded(row.total),
        request_path: row.path,
        user_agent: row.userAgent,
        method: row.method,
        request_id: row.requestId,
        repeated: Number(row.details?.repeated ?? 0),
        created_at: iso(row.atMs),
      }));
      return { items, next: page.next };
    },

    async anomalies({ anomaly_type: pattern, ...query }) {
      const page = read(['anomaly', 'resource'], { ...query, pattern: pattern ?? null, minScore: null });
      const items = page.rows.map((row) => ({
        id: row.id,
        ip: row.ip,
        anomaly_type: row.pattern,
        score: row.score,
        total: rounded(row.total),
        details: {
          ...row.details,
          ...(row.path === null ? {} : { method: row.method, path: row.path, user_agent: row.userAgent }),
        },
        created_at: iso(row.atMs),
      }));
      return { items, next: page.next };
    },

    async stats() {
      journal.flush();
      const all = bans.all();
      const automatic = all.filter((ban) => ban.isAutomatic).length;
      const counts = store.counts(clock.nowMs() - DAY_MS);
      const byKind: Record<SignalKind, number> = { intrusion: 0, anomaly: 0, honeypot: 0, resource: 0 };
      const bySeverity: SecurityStats['last_24h']['by_severity'] = {
        low: 0,
        medium: 0,
        high: 0,
        critical: 0,
      };
      for (const { kind, pattern, count } of counts) {
        byKind[kind] += count;
        bySeverity[severityOf(pattern)] += count;
      }
      const rules = screen.rules() ?? rulesOf({ version: 0, document: {} }, true);
      return {
        features: rules.switches,
        blocked_ips: {
          automatic,
          by_owner: all.length - automatic,
          permanent: all.filter((ban) => ban.endsAtMs === null).length,
        },
        addresses: standings.size,
        held: tarpit.held,
        scarce: watch.scarce,
        last_24h: {
          by_kind: byKind,
          by_severity: bySeverity,
          patterns: counts.map(({ pattern, kind, count, lastAtMs }) => ({
            pattern,
            kind,
            events: count,
            last_at: iso(lastAtMs),
          })),
        },
      };
    },
  };

  function read(
    kinds: readonly SignalKind[],
    query: Pick<SignalQuery, 'pattern' | 'minScore'> & {
      readonly ip?: string;
      readonly limit?: number;
      readonly offset?: number;
      readonly cursor?: string;
    },
  ) {
    journal.flush();
    const limit = query.limit ?? DEFAULT_LIMIT;
    const before =
      query.cursor === undefined ? null : Number(/^\d{1,15}$/.exec(query.cursor)?.[0] ?? Number.NaN);
    if (Number.isNaN(before)) throw notACursor();
    const found = store.signals({
      kinds,
      ip: query.ip === undefined ? null : requireSource(query.ip).text,
      pattern: query.pattern,
      minScore: query.minScore,
      // One more than is shown tells whether there are more.
      limit: limit + 1,
      offset: query.offset ?? 0,
      before,
    });
    const rows = found.slice(0, limit);
    return { rows, next: found.length > limit ? String(rows.at(-1)?.id) : null };
  }

  return {
    screen,
    api,

    wideBans: () =>
      bans
        .all()
        .filter(({ network }) => isWide(network))
        .map(({ network }) => network.text),

    start() {
      catchUp();
      readMachine ??= createMachine(clock);
      readMachine();
      sampler ??= setInterval(sample, SAMPLE_MS);
      sampler.unref();
      journal.start();
    },

    stop,

    close() {
      stop();
      tarpit.close();
    },
  };
}

const LOOPBACK = ['127.0.0.0/8', '::1'].flatMap((text) => parseNetwork(text) ?? []);

/** Whether a network is this machine itself, or the /64 that an IPv6 loopback address was taken for. */
function isHere(network: Network): boolean {
  return LOOPBACK.some((own) => contains(own, network) || (network.prefix >= 64 && contains(network, own)));
}

/** Whether it is one address, or the /64 of one. */
function isSource({ width, prefix }: Network): boolean {
  return prefix >= Math.min(width, 64);
}

function isWide({ width, prefix }: Network): boolean {
  return prefix < (WIDEST[width] ?? 0);
}

/** The newest first; those of one moment by their names. */
function byAge(a: Pick<Ban, 'bannedAtMs'> & Named, b: Pick<Ban, 'bannedAtMs'> & Named): number {
  const [nameOfA, nameOfB] = [a.network.text, b.network.text];
  return b.bannedAtMs - a.bannedAtMs || (nameOfA < nameOfB ? -1 : nameOfA > nameOfB ? 1 : 0);
}

interface Named {
  readonly network: Pick<Network, 'text'>;
}

/** `1760000000000.203.0.113.7` */
function placeIn(cursor: string): Pick<Ban, 'bannedAtMs'> & Named {
  const [, atMs, text] = /^(\d{1,15})\.(.+)$/.exec(cursor) ?? [];
  if (atMs === undefined || text === undefined || parseNetwork(text) === null) throw notACursor();
  return { bannedAtMs: Number(atMs), network: { text } };
}

function notACursor(): FlmError {
  return invalid('cursor', 'it is not the "next" of an earlier answer');
}

/** @throws INVALID_INPUT */
function requireSource(text: string): Network {
  const network = parseSource(text);
  if (network === null)
    throw invalid('ip', `"${text}" is neither an IP address nor a network such as 203.0.113.0/24`);
  return network;
}

function notBanned(network: Network, bans: Bans): FlmError {
  const wider = bans.manual(network);
  if (wider !== null)
    return new FlmError('BAN_NOT_FOUND', {
      meta: { ip: network.text },
      hint: `It is part of a wider one: flm security ip-blocklist unblock ${wider.network.text}`,
    });
  return new FlmError('BAN_NOT_FOUND', { meta: { ip: network.text } });
}

function eventOf(
  type: 'security.banned' | 'security.unbanned',
  ban: Pick<Ban, 'network'>,
  details: Readonly<Record<string, unknown>>,
): AuditEvent {
  return { type, severity: 'medium', target: `network:${publicName(ban)}`, details };
}

function severityOf(pattern: string): keyof SecurityStats['last_24h']['by_severity'] {
  const known = PATTERNS.find((name) => name === pattern);
  return known === undefined ? 'high' : DETECTORS[known].severity;
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}
