/**
 * Who of a place is asked first: smooth weighted round robin, as nginx does it. Of every `sum of weights` requests each
 * target gets exactly its weight, spread out and not in a row. Pure: the credits go in and come out.
 */
import type { Target } from './targets';

/** What each target has saved up, by its name. */
export type Credits = ReadonlyMap<string, number>;

export const NO_CREDITS: Credits = new Map();

/** The target whose turn it is, then the others, richest first. Each comes out once. */
export function takeTurn<Some extends Target>(
  targets: readonly Some[],
  credits: Credits,
): { readonly order: readonly Some[]; readonly credits: Credits } {
  const saved = new Map(targets.map(({ model, weight }) => [model, (credits.get(model) ?? 0) + weight]));
  const order = targets.toSorted((a, b) => (saved.get(b.model) ?? 0) - (saved.get(a.model) ?? 0));
  const [first] = order;
  if (first === undefined) return { order, credits };
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  saved.set(first.model, (saved.get(first.model) ?? 0) - total);
  return { order, credits: saved };
}
