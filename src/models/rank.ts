/**
 * In which order the copies of a model are asked (HL-081, "In FLM"). Pure: what is remembered from one request to the
 * next goes in and comes out.
 *
 * Copies that can be asked come before those whose breaker is open, healthy ones before degraded ones, and those with a
 * free slot before those with none, whatever the strategy (`manual` alone does not look at slots). Then the strategy
 * decides, but small differences decide nothing: copies about as good as the best share the requests, the one that waited
 * longest for its turn first. A copy has to come close to the best to join those, and to fall well behind it to leave:
 * a figure that swings around a limit does not make requests swing between engines.
 */
import type { Standing } from '../contract';

export const STRATEGIES = [
  'least-busy',
  'highest-score',
  'lowest-error-rate',
  'highest-throughput',
  'manual',
] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** What is ranked: something with a name of its own, and how it is doing. */
export interface Ranked {
  readonly key: string;
  readonly standing: Standing;
}

/** What a name remembers from one request to the next. */
export interface Memory {
  /** Those that were about as good as the best when last compared. */
  readonly front: ReadonlySet<string>;
  /** When each was last put first, counted in requests. */
  readonly turns: ReadonlyMap<string, number>;
  readonly turn: number;
}

export const NO_MEMORY: Memory = { front: new Set(), turns: new Map(), turn: 0 };

/** Orders `items`, each of which comes out once. The memory is that of one name and its strategy. */
export function rank<Item extends Ranked>(
  strategy: Strategy,
  items: readonly Item[],
  memory: Memory,
): { readonly order: Item[]; readonly memory: Memory } {
  if (strategy === 'manual') return { order: items.toSorted(by(tierOf)), memory };
  const sorted = items.toSorted(by(tierOf, slotless, ...keysOf(strategy, items)));
  const [best] = sorted;
  if (best === undefined) return { order: [], memory };
  const rivals = sorted.filter((item) => isRival(strategy, item, best));
  const front = frontOf(strategy, rivals, items, memory);
  const first = rivals.filter((item) => front.has(item.key));
  first.sort(by(loadOf, (item) => memory.turns.get(item.key) ?? -1));
  const chosen = new Set(first);
  const order = [...first, ...sorted.filter((item) => !chosen.has(item))];
  return { order, memory: remember(memory, front, order[0]?.key ?? best.key, items) };
}

/** 0 healthy, 1 degraded, 2 not to be asked while another can be. */
export function tierOf({ standing }: Ranked): number {
  return standing.available ? Number(standing.degraded) : 2;
}

/**
 * 0 to 1: how sure, how fast and how prompt a copy is beside the others. The share of requests that succeed counts
 * squared, because a request that fails costs more than one that is slow; of the rest, seven parts are tokens per second
 * against the fastest (unknown counts as the fastest, so that it gets tried) and three parts latency against the promptest.
 */
export function scoreOf({ standing }: Ranked, all: readonly Ranked[]): number {
  const fastest = Math.max(...all.map((item) => item.standing.tokensPerSecond ?? 0));
  const speed = fastest === 0 ? 1 : (standing.tokensPerSecond ?? fastest) / fastest;
  const promptest = Math.min(...all.map((item) => item.standing.latencyMs));
  const promptness = (promptest + LATENCY_GRAIN_MS) / (standing.latencyMs + LATENCY_GRAIN_MS);
  return (1 - standing.errorRate) ** 2 * (0.7 * speed + 0.3 * promptness);
}

/** Milliseconds of latency that nobody notices. */
const LATENCY_GRAIN_MS = 10;

type Key = (item: Ranked) => number;

/** How near to the best a figure must come to join those in front, and how far it must fall behind to leave them. */
interface Margin {
  readonly joins: (value: number, best: number) => boolean;
  readonly stays: (value: number, best: number) => boolean;
}

/** Figures are costs here: the smallest is the best. Those where more is better are negative. */
const MORE_IS_BETTER: Margin = {
  joins: (value, best) => value <= best * 0.9,
  stays: (value, best) => value <= best * 0.75,
};

const MARGINS: Readonly<Record<Exclude<Strategy, 'manual'>, Margin>> = {
  'least-busy': {
    joins: (value, best) => value <= best * 1.25 + 5,
    stays: (value, best) => value <= best * 2 + 20,
  },
  'lowest-error-rate': {
    joins: (value, best) => value <= best + 0.02,
    stays: (value, best) => value <= best + 0.05,
  },
  'highest-score': MORE_IS_BETTER,
  'highest-throughput': MORE_IS_BETTER,
};

/** What the strategy goes by, as a cost. */
function costOf(strategy: Exclude<Strategy, 'manual'>, all: readonly Ranked[]): Key {
  switch (strategy) {
    case 'least-busy':
      return ({ standing }) => standing.latencyMs;
    case 'lowest-error-rate':
      return ({ standing }) => standing.errorRate;
    case 'highest-score':
      return (item) => -scoreOf(item, all);
    case 'highest-throughput': {
      // One that nobody has seen at work is taken for the best until it has been.
      const fastest = Math.max(...all.map(({ standing }) => standing.tokensPerSecond ?? 0));
      return ({ standing }) => -(standing.tokensPerSecond ?? fastest);
    }
  }
}

function keysOf(strategy: Exclude<Strategy, 'manual'>, all: readonly Ranked[]): Key[] {
  const cost = costOf(strategy, all);
  return strategy === 'least-busy' ? [loadOf, cost] : [cost, loadOf];
}

/** Whether a copy stands where the first one stands, so that only the figure with the margin can tell them apart. */
function isRival(strategy: Strategy, item: Ranked, best: Ranked): boolean {
  if (tierOf(item) !== tierOf(best) || slotless(item) !== slotless(best)) return false;
  return strategy !== 'least-busy' || loadOf(item) === loadOf(best);
}

function frontOf(
  strategy: Exclude<Strategy, 'manual'>,
  rivals: readonly Ranked[],
  all: readonly Ranked[],
  { front }: Memory,
): ReadonlySet<string> {
  const { joins, stays } = MARGINS[strategy];
  const cost = costOf(strategy, all);
  const best = Math.min(...rivals.map(cost));
  const compared = new Set(rivals.map((item) => item.key));
  // Who was not compared this time, being busy or in trouble, keeps its place for when it is.
  const kept = all.filter((item) => !compared.has(item.key) && front.has(item.key));
  const near = rivals.filter((item) => (front.has(item.key) ? stays : joins)(cost(item), best));
  return new Set([...kept, ...near].map((item) => item.key));
}

function remember(
  { turns, turn }: Memory,
  front: ReadonlySet<string>,
  chosen: string,
  items: readonly Ranked[],
): Memory {
  const next = new Map<string, number>();
  for (const { key } of items) {
    const last = key === chosen ? turn : turns.get(key);
    if (last !== undefined) next.set(key, last);
  }
  return { front, turns: next, turn: turn + 1 };
}

function slotless({ standing }: Ranked): number {
  return standing.freeSlots > 0 ? 0 : 1;
}

/** Requests at the engine for each of its slots; above 1 when some wait. */
function loadOf({ standing }: Ranked): number {
  return (standing.slots - standing.freeSlots) / Math.max(1, standing.slots);
}

/** Compares by one key after the other, the smallest first. */
function by(...keys: readonly Key[]): (a: Ranked, b: Ranked) => number {
  return (a, b) => {
    for (const key of keys) {
      const difference = key(a) - key(b);
      if (difference !== 0) return difference;
    }
    return 0;
  };
}
