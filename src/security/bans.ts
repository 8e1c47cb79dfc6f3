/**
 * Who is banned, in memory: by the owner (any network) and by itself (buckets of addresses), until a moment of the
 * monotonic clock. Nothing here is walked for a request.
 */
import type { Clock } from '../contract';
import { contains, type Network, NetworkMap, parseNetwork } from './networks';

/** As it is kept in the database. Times are wall time. */
export interface StoredBan {
  readonly network: string;
  readonly isAutomatic: boolean;
  readonly reason: string;
  readonly bannedAtMs: number;
  /** Null: until the owner lifts it. */
  readonly untilMs: number | null;
  /** `owner`, the id of an operator, or `flm`. */
  readonly bannedBy: string;
}

export interface Ban {
  readonly network: Network;
  readonly isAutomatic: boolean;
  readonly reason: string;
  /** Wall time, for people. */
  readonly bannedAtMs: number;
  readonly lengthMs: number | null;
  /** Monotonic; null: until the owner lifts it. */
  readonly endsAtMs: number | null;
  readonly bannedBy: string;
  /** Requests that it refused, and when the last of them came (monotonic). */
  refused: number;
  lastRefusedAtMs: number | null;
}

export interface BanInput {
  readonly network: Network;
  readonly isAutomatic: boolean;
  readonly reason: string;
  readonly lengthMs: number | null;
  readonly bannedBy: string;
}

export interface Bans {
  /** The owner's ban that holds for an address or network, or null. */
  manual(network: Network): Ban | null;
  /** The automatic one of a bucket, or null. */
  automatic(bucket: string): Ban | null;
  /** The one of exactly this network. */
  exact(network: Network): Ban | null;
  /** Whether there are any automatic ones. */
  readonly automaticCount: number;
  readonly manualCount: number;
  /** Changes whenever the owner's bans do. */
  readonly revision: number;
  /** Puts one in the place of any other of the same network. Returns those that had to make room for it. */
  put(input: BanInput): { readonly ban: Ban; readonly displaced: readonly Ban[] };
  /** One as the database has it. Null: it has ended meanwhile, or is none. */
  restore(stored: StoredBan): Ban | null;
  lift(ban: Ban): void;
  /** Those within a network, automatic ones. */
  automaticIn(network: Network): Ban[];
  /** Removes and returns those whose time is over. */
  expire(): Ban[];
  all(): Ban[];
}

/** Where there are more automatic ones, those make room that would end first. */
const LEAVING = 0.05;

export function createBans(clock: Clock, maxAutomatic: number): Bans {
  const manual = new NetworkMap<Ban>();
  const automatic = new Map<string, Ban>();
  let revision = 0;

  function isOver({ endsAtMs }: Ban): boolean {
    return endsAtMs !== null && endsAtMs <= clock.monotonicMs();
  }

  function add(ban: Ban): void {
    if (ban.isAutomatic) {
      automatic.set(ban.network.text, ban);
      return;
    }
    automatic.delete(ban.network.text);
    manual.set(ban.network, ban);
    revision++;
  }

  function lift(ban: Ban): void {
    if (ban.isAutomatic) automatic.delete(ban.network.text);
    else {
      manual.delete(ban.network);
      revision++;
    }
  }

  function makeRoom(): Ban[] {
    if (automatic.size < maxAutomatic) return [];
    const byEnd = [...automatic.values()].sort(
      (a, b) => (a.endsAtMs ?? Number.POSITIVE_INFINITY) - (b.endsAtMs ?? Number.POSITIVE_INFINITY),
    );
    const leaving = byEnd.slice(0, Math.max(1, Math.floor(maxAutomatic * LEAVING)));
    for (const ban of leaving) automatic.delete(ban.network.text);
    return leaving;
  }

  function alive(ban: Ban | null): Ban | null {
    return ban === null || isOver(ban) ? null : ban;
  }

  return {
    manual: (network) => manual.find(network, (ban) => !isOver(ban)),
    automatic: (bucket) => alive(automatic.get(bucket) ?? null),
    exact: (network) => alive(manual.get(network) ?? automatic.get(network.text) ?? null),
    get automaticCount() {
      return automatic.size;
    },
    get manualCount() {
      return manual.size;
    },
    get revision() {
      return revision;
    },

    put(input) {
      const displaced = input.isAutomatic ? makeRoom() : [];
      const endsAtMs = input.lengthMs === null ? null : clock.monotonicMs() + input.lengthMs;
      const ban: Ban = { ...input, bannedAtMs: clock.nowMs(), endsAtMs, refused: 0, lastRefusedAtMs: null };
      add(ban);
      return { ban, displaced };
    },

    restore({ network: text, untilMs, bannedAtMs, ...stored }) {
      const network = parseNetwork(text);
      if (network === null) return null;
      let endsAtMs: number | null = null;
      const lengthMs = untilMs === null ? null : Math.max(0, untilMs - bannedAtMs);
      if (untilMs !== null && lengthMs !== null) {
        // A clock that was set back meanwhile makes no ban longer than it is.
        const leftMs = Math.min(untilMs - clock.nowMs(), lengthMs);
        if (leftMs <= 0) return null;
        endsAtMs = clock.monotonicMs() + leftMs;
      }
      const ban: Ban = {
        ...stored,
        network,
        bannedAtMs,
        lengthMs,
        endsAtMs,
        refused: 0,
        lastRefusedAtMs: null,
      };
      add(ban);
      return ban;
    },

    lift,

    automaticIn: (network) =>
      [...automatic.values()].filter((ban) => contains(network, ban.network) && !isOver(ban)),

    expire() {
      const over = [...automatic.values(), ...manual.values()].filter(isOver);
      for (const ban of over) lift(ban);
      return over;
    },

    all: () => [...automatic.values(), ...manual.values()].filter((ban) => !isOver(ban)),
  };
}

/** As it is to be found after a restart: its end by the wall clock of this moment. */
export function storedBan(ban: Ban, clock: Clock): StoredBan {
  const leftMs = ban.endsAtMs === null ? null : Math.max(0, ban.endsAtMs - clock.monotonicMs());
  const untilMs = leftMs === null ? null : Math.ceil(clock.nowMs() + leftMs);
  return {
    network: ban.network.text,
    isAutomatic: ban.isAutomatic,
    reason: ban.reason,
    // Its whole length stays visible: nothing else keeps a clock that was set back from making it longer.
    bannedAtMs:
      untilMs === null || ban.lengthMs === null ? ban.bannedAtMs : Math.ceil(untilMs - ban.lengthMs),
    untilMs,
    bannedBy: ban.bannedBy,
  };
}
