/** "Did you mean …?": the nearest known word to one that was mistyped. */

/** From this length on the beginning of a word is enough, when only one begins so. */
const MIN_PREFIX = 3;

/**
 * The candidate nearest to `word`, within a third of its length (at least one edit); else the only one that begins with
 * it; else null.
 */
export function suggest(word: string, candidates: Iterable<string>): string | null {
  const all = [...candidates];
  return nearest(word, all) ?? onlyOneThatBegins(word, all);
}

function onlyOneThatBegins(word: string, candidates: readonly string[]): string | null {
  const found = candidates.filter((candidate) => candidate.startsWith(word.toLowerCase()));
  return word.length >= MIN_PREFIX && found.length === 1 ? (found[0] ?? null) : null;
}

function nearest(word: string, candidates: readonly string[]): string | null {
  const limit = Math.max(1, Math.floor(word.length / 3));
  let best: string | null = null;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    // As many edits as one is longer: what is far too long is not compared letter by letter.
    if (Math.abs(word.length - candidate.length) >= bestDistance) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    // A word of which nothing would be left was not meant.
    if (distance < bestDistance && distance < Math.max(word.length, candidate.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Edits (insert, delete, replace, swap of neighbours) from `a` to `b`: optimal string alignment. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
