/**
 * Puts the copies that a name means in the order in which they are asked, and remembers per name what that takes: whose
 * turn it is, and who was in front. In memory alone: a restart begins anew.
 */
import type { Candidate, Standing } from '../contract';
import type { Entry } from './catalogue';
import { type Memory, NO_MEMORY, type Ranked, rank, type Strategy, tierOf } from './rank';
import type { Target } from './targets';
import { type Credits, NO_CREDITS, takeTurn } from './weights';

export interface Chooser {
  /** The copies of the model `name`, best first. */
  copies(name: string, strategy: Strategy, entries: readonly Entry[], mode: Mode): readonly Entry[];
  /** The copies of everything an alias stands for, each once, best first. */
  places(alias: string, strategy: Strategy, places: readonly FoundPlace[], mode: Mode): readonly Entry[];
  /** Forgets names that `known` does not know. */
  prune(known: (name: string) => boolean): void;
}

/** `ask`: somebody will be asked, which takes a turn; `look`: the order is only looked at. */
export type Mode = 'ask' | 'look';

/** A target with the copies that are there, and how to choose among them. */
export interface FoundTarget extends Target {
  readonly entries: readonly Entry[];
  readonly strategy: Strategy;
}

export type FoundPlace = readonly FoundTarget[];

/** How an engine is doing for a candidate at this moment. */
export type StandingOf = (candidate: Candidate) => Standing;

interface RankedEntry extends Ranked {
  readonly entry: Entry;
}

/** What a place remembers: of its copies, or of its weights. */
interface PlaceMemory {
  readonly memory: Memory;
  readonly credits: Credits;
}

const NO_PLACE_MEMORY: PlaceMemory = { memory: NO_MEMORY, credits: NO_CREDITS };

export function createChooser(standingOf: StandingOf): Chooser {
  const models = new Map<string, Memory>();
  /** By alias, in the order of its places. */
  const aliases = new Map<string, readonly PlaceMemory[]>();

  const ranked = (entry: Entry): RankedEntry => ({ key: entry.uri, entry, standing: standingOf(entry) });

  function orderCopies(name: string, strategy: Strategy, copies: readonly RankedEntry[], mode: Mode) {
    const { order, memory } = rank(strategy, copies, models.get(name) ?? NO_MEMORY);
    if (mode === 'ask') models.set(name, memory);
    return order;
  }

  /** By weight; the copies of a target in the order they have when it is asked for by its own name. */
  function orderByWeight(place: RankedPlace, before: PlaceMemory, mode: Mode): PlaceOrder {
    const { order, credits } = takeTurn(place, before.credits);
    const copies = order.flatMap(({ model, strategy, copies }, index) =>
      orderCopies(model, strategy, copies, index === 0 ? mode : 'look'),
    );
    return { copies: copies.toSorted((a, b) => tierOf(a) - tierOf(b)), after: { ...before, credits } };
  }

  function orderTogether(strategy: Strategy, place: RankedPlace, before: PlaceMemory): PlaceOrder {
    const copies = unique(place.flatMap((target) => target.copies));
    const { order, memory } = rank(strategy, copies, before.memory);
    return { copies: order, after: { ...before, memory } };
  }

  return {
    copies(name, strategy, entries, mode) {
      if (entries.length < 2) return entries;
      return orderCopies(name, strategy, entries.map(ranked), mode).map(({ entry }) => entry);
    },

    places(alias, strategy, found, mode) {
      const places = found.map((place) =>
        place.map((target) => ({ ...target, copies: target.entries.map(ranked) })),
      );
      const memories = [...(aliases.get(alias) ?? [])];
      // Places after the one that will be asked are for when it fails: no turn is taken there.
      const asked = Math.max(0, places.findIndex(canBeAsked));
      const order = places.flatMap((place, index) => {
        const before = memories[index] ?? NO_PLACE_MEMORY;
        const here = index === asked ? mode : 'look';
        const { copies, after } =
          strategy === 'manual' ? orderByWeight(place, before, here) : orderTogether(strategy, place, before);
        memories[index] = here === 'ask' ? after : before;
        return copies;
      });
      if (mode === 'ask') aliases.set(alias, memories);
      // Whatever the owner prefers: a copy that would be refused comes after every one that would not.
      return unique(order)
        .toSorted((a, b) => Number(!a.standing.available) - Number(!b.standing.available))
        .map(({ entry }) => entry);
    },

    prune(known) {
      for (const memory of [models, aliases]) {
        for (const name of memory.keys()) if (!known(name)) memory.delete(name);
      }
    },
  };
}

type RankedPlace = readonly (FoundTarget & { readonly copies: readonly RankedEntry[] })[];

interface PlaceOrder {
  readonly copies: readonly RankedEntry[];
  readonly after: PlaceMemory;
}

function canBeAsked(place: RankedPlace): boolean {
  return place.some(({ copies }) => copies.some(({ standing }) => standing.available));
}

/** Each copy once, where it comes first. */
function unique(copies: readonly RankedEntry[]): RankedEntry[] {
  return [...new Map(copies.map((copy) => [copy.key, copy])).values()];
}
