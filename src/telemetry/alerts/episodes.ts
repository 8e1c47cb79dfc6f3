/**
 * From occurrences to alerts: one when something begins, one now and then while it goes on, one when it is over. An attack
 * from ten thousand addresses is a handful of messages: the first subjects of a rule are told one by one, the others together.
 * Times are those of the monotonic clock.
 */
import { ipBucket, parseIp } from '../../lib/ip';
import { ALERT_SEVERITIES, type AlertEvent, type AlertRule } from './model';
import type { Occurrence } from './sources';

/** A rule has found something that somebody is to be told of. */
export interface Alert {
  readonly state: 'firing' | 'ongoing' | 'resolved';
  /** The same from beginning to end: what a receiver knows it by. */
  readonly alertId: string;
  readonly rule: AlertRule;
  readonly targets: readonly string[];
  /** The last of them. */
  readonly occurrence: Occurrence;
  /** Null where it is about many. */
  readonly subject: string | null;
  /** Different subjects; one unless it is about many. As many as are remembered. */
  readonly sources: number;
  /** Occurrences since the beginning. */
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface Episodes {
  /** The rules from now on. What has begun under one that is gone or off is forgotten. */
  use(rules: readonly AlertRule[]): void;
  wants(event: AlertEvent): boolean;
  note(occurrence: Occurrence, nowMs: number): void;
  recover(event: AlertEvent, subject: string, nowMs: number): void;
  /** Tells what has gone on or is over by now. */
  advance(nowMs: number): void;
  /** When `advance` has something to do next; null: never. */
  nextMs(): number | null;
  /** Forgets all of it: somebody else watches now. */
  clear(): void;
}

export interface EpisodesOptions {
  readonly newId: () => string;
  readonly tell: (alert: Alert) => void;
}

/** After this long without another one, it is over. */
export const QUIET_MS = 600_000;
/** How soon it is told that something goes on; each time it takes twice as long, up to a limit. */
const FIRST_REPEAT_MS = 600_000;
const LAST_REPEAT_MS = 21_600_000;
/** Subjects of one rule that are told one by one. */
export const MAX_SUBJECTS = 10;
/** Subjects that are told apart where many are told together. */
const MAX_SOURCES = 10_000;
/** Subjects whose occurrences of this minute are counted. */
const MAX_COUNTED = 5_000;
const MINUTE_MS = 60_000;

/** What ends by itself when it is quiet. A policy that was changed and an address that was banned stay so. */
const ENDS_QUIETLY: ReadonlySet<AlertEvent> = new Set<AlertEvent>([
  'intrusion',
  'anomaly',
  'rate_limit',
  'auth_failure',
  'resource',
]);
/** What goes on until somebody says that it is over, however quiet it is. */
const LASTS: ReadonlySet<AlertEvent> = new Set<AlertEvent>(['api_error']);

interface Episode {
  readonly rule: AlertRule;
  readonly alertId: string;
  readonly subject: string | null;
  readonly targets: readonly string[];
  readonly sources: Set<string>;
  readonly firstMs: number;
  occurrence: Occurrence;
  lastMs: number;
  count: number;
  told: number;
  repeatMs: number;
  repeatAtMs: number;
}

interface Counted {
  count: number;
  readonly fromMs: number;
}

export function createEpisodes({ newId, tell }: EpisodesOptions): Episodes {
  let byEvent = new Map<AlertEvent, readonly AlertRule[]>();
  /** By rule, then by subject; null: all the others. */
  const open = new Map<string, Map<string | null, Episode>>();
  let counted = new Map<string, Counted>();
  let older = counted;

  function countOf(event: AlertEvent, subject: string, nowMs: number): number {
    const key = `${event} ${subject}`;
    const known = counted.get(key) ?? older.get(key);
    if (known !== undefined && nowMs - known.fromMs < MINUTE_MS) return ++known.count;
    if (counted.size >= MAX_COUNTED) {
      // Half of what is remembered goes at once: to look for the oldest each time would cost more than all the rest.
      older = counted;
      counted = new Map();
    }
    counted.set(key, { count: 1, fromMs: nowMs });
    return 1;
  }

  function note(occurrence: Occurrence, nowMs: number): void {
    const { event, score } = occurrence;
    const rules = byEvent.get(event);
    if (rules === undefined) return;
    // A score below every threshold is most of what comes, and is not looked at further.
    if (score !== null && !rules.some((rule) => matches(rule, occurrence, score))) return;
    const subject = occurrence.isAddress ? placeOf(occurrence.subject) : occurrence.subject;
    const amount = score ?? countOf(event, subject, nowMs);
    const told = new Set<string>();
    for (const rule of rules) {
      if (!matches(rule, occurrence, amount)) continue;
      // The most severe rule comes first, and nobody is told of one thing twice.
      const targets = rule.targets.filter((target) => !told.has(target));
      if (targets.length === 0) continue;
      for (const target of targets) told.add(target);
      add(rule, targets, subject, occurrence, nowMs);
    }
  }

  function add(
    rule: AlertRule,
    targets: readonly string[],
    subject: string,
    occurrence: Occurrence,
    nowMs: number,
  ): void {
    const episodes = open.get(rule.id) ?? new Map<string | null, Episode>();
    open.set(rule.id, episodes);
    const known = episodes.get(subject) ?? (episodes.size >= MAX_SUBJECTS ? episodes.get(null) : undefined);
    if (known !== undefined) {
      known.occurrence = occurrence;
      known.lastMs = nowMs;
      known.count++;
      if (known.sources.size < MAX_SOURCES) known.sources.add(subject);
      return;
    }
    const episode: Episode = {
      rule,
      alertId: newId(),
      subject: episodes.size >= MAX_SUBJECTS ? null : subject,
      targets,
      sources: new Set([subject]),
      firstMs: nowMs,
      occurrence,
      lastMs: nowMs,
      count: 1,
      told: 1,
      repeatMs: FIRST_REPEAT_MS,
      repeatAtMs: nowMs + FIRST_REPEAT_MS,
    };
    episodes.set(episode.subject, episode);
    tell(alertOf(episode, 'firing'));
  }

  function end(episode: Episode, how: 'resolved' | 'forgotten'): void {
    const episodes = open.get(episode.rule.id);
    episodes?.delete(episode.subject);
    if (episodes?.size === 0) open.delete(episode.rule.id);
    if (how === 'resolved') tell(alertOf(episode, 'resolved'));
  }

  const all = (): Episode[] => [...open.values()].flatMap((episodes) => [...episodes.values()]);

  return {
    note,

    use(rules) {
      const active = rules
        .filter(({ enabled, targets }) => enabled && targets.length > 0)
        .toSorted(
          (a, b) => rankOf(b.severity) - rankOf(a.severity) || (b.threshold ?? 0) - (a.threshold ?? 0),
        );
      byEvent = Map.groupBy(active, ({ event_type: event }) => event);
      for (const episode of all())
        if (!active.some((rule) => Bun.deepEquals(rule, episode.rule))) end(episode, 'forgotten');
    },

    wants: (event) => byEvent.has(event),

    recover(event, whose, nowMs) {
      const subject = placeOf(whose);
      for (const episode of all()) {
        if (episode.rule.event_type !== event || episode.subject !== subject) continue;
        episode.lastMs = nowMs;
        end(episode, 'resolved');
      }
    },

    advance(nowMs) {
      for (const episode of all()) {
        const { event_type: event } = episode.rule;
        if (!LASTS.has(event) && nowMs - episode.lastMs >= QUIET_MS) {
          const isTold = episode.count > episode.told && !ENDS_QUIETLY.has(event);
          if (isTold) tell(alertOf(episode, 'ongoing'));
          end(episode, ENDS_QUIETLY.has(event) ? 'resolved' : 'forgotten');
        } else if (nowMs >= episode.repeatAtMs) {
          if (episode.count > episode.told) {
            episode.told = episode.count;
            tell(alertOf(episode, 'ongoing'));
          }
          episode.repeatMs = Math.min(episode.repeatMs * 2, LAST_REPEAT_MS);
          episode.repeatAtMs = nowMs + episode.repeatMs;
        }
      }
    },

    nextMs() {
      const times = all().map(({ rule, lastMs, repeatAtMs }) =>
        LASTS.has(rule.event_type) ? repeatAtMs : Math.min(lastMs + QUIET_MS, repeatAtMs),
      );
      return times.length === 0 ? null : Math.min(...times);
    },

    clear() {
      open.clear();
      counted = older = new Map();
    },
  };
}

function matches({ threshold, severity }: AlertRule, occurrence: Occurrence, amount: number): boolean {
  return threshold === null ? rankOf(occurrence.severity) >= rankOf(severity) : amount >= threshold;
}

function rankOf(severity: AlertRule['severity']): number {
  return ALERT_SEVERITIES.indexOf(severity);
}

/** Addresses are told apart as they are counted: an attacker has a whole /64. */
function placeOf(subject: string): string {
  // An IPv4 address is one place, and most of what comes in an attack.
  return !subject.includes(':') || parseIp(subject) === null ? subject : ipBucket(subject);
}

function alertOf(episode: Episode, state: Alert['state']): Alert {
  const { rule, alertId, targets, occurrence, subject, sources, count, firstMs, lastMs } = episode;
  return {
    state,
    alertId,
    rule,
    targets,
    occurrence,
    subject,
    sources: sources.size,
    count,
    firstMs,
    lastMs,
  };
}
