/** Small pieces of sentences. */

/** `1 model`, `3 models`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
