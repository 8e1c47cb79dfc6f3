/**
 * The end of a turn of the event loop: when everything that had arrived has been looked at. What leaves then leaves
 * together, and whoever receives it is woken once and not once for each (ADR 0011).
 */

let ending: Promise<void> | null = null;

/** Resolves at the end of this turn. One promise for all who ask in it. */
export function endOfTurn(): Promise<void> {
  ending ??= new Promise((resolve) => {
    setImmediate(() => {
      ending = null;
      resolve();
    });
  });
  return ending;
}
