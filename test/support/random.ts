/** Numbers that look random and are the same for the same seed, so that what failed once fails again. */
export interface Random {
  /** From 0 to `below` - 1. */
  int(below: number): number;
  pick<Item>(items: readonly [Item, ...Item[]]): Item;
}

/** Mulberry32: good enough for schedules, and fast. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    int: (below) => next() % below,
    pick: (items) => items[next() % items.length] ?? items[0],
  };
}
