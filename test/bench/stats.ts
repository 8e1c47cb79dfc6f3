/** Order statistics over small and large samples; a missing sample is null, never 0. */

/** A figure over several rounds: the middle one and the extremes. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** The value below which `share` (0 to 1) of the sorted samples lie, nearest rank; null when there are none. */
export function percentile(sorted: ArrayLike<number>, share: number): number | null {
  const rank = Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1));
  return sorted[rank] ?? null;
}

/** Median and extremes of the rounds that have a figure; null when none has. */
export function spreadOf(values: readonly (number | null)[]): Spread | null {
  const sorted = values
    .filter((value) => value !== null && Number.isFinite(value))
    .sort((a, b) => Number(a) - Number(b));
  const [min, max] = [sorted.at(0), sorted.at(-1)];
  if (typeof min !== 'number' || typeof max !== 'number') return null;
  const low = sorted[(sorted.length - 1) >> 1] ?? min;
  const high = sorted[sorted.length >> 1] ?? max;
  return { median: (low + high) / 2, min, max };
}

/** A growing list of numbers without boxing, for latencies taken on the hot path. */
export class Samples {
  #values = new Float64Array(1 << 16);
  #count = 0;

  add(value: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count++] = value;
  }

  clear(): void {
    this.#count = 0;
  }

  get count(): number {
    return this.#count;
  }

  sorted(): Float64Array {
    return this.#values.slice(0, this.#count).sort();
  }
}
