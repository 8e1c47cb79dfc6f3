/** Whose turn it is: the candidates of a plan in their order, without those that there is no point in asking. */
import type { Candidate, EngineRef } from '../contract';

export class Turns {
  readonly #candidates: readonly Candidate[];
  #next = 0;
  /** Engines that failed as a whole: another model of theirs would fail the same way. */
  #dismissed: Set<string> | null = null;

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = candidates;
  }

  /** The next to ask, or null after the last. */
  take(): Candidate | null {
    const at = this.#findNext();
    this.#next = at + 1;
    return this.#candidates[at] ?? null;
  }

  /** Whether anybody is left after the one whose turn it is. */
  remain(): boolean {
    return this.#findNext() < this.#candidates.length;
  }

  /** Takes an engine's other candidates out. */
  dismiss(engine: EngineRef): void {
    this.#dismissed ??= new Set();
    this.#dismissed.add(engine.id);
  }

  #findNext(): number {
    let at = this.#next;
    for (; at < this.#candidates.length; at++) {
      const candidate = this.#candidates[at];
      if (candidate !== undefined && !this.#isSpent(candidate, at)) break;
    }
    return at;
  }

  /** Whether it was asked before, or its engine was dismissed. */
  #isSpent({ engine, model }: Candidate, at: number): boolean {
    if (this.#dismissed?.has(engine.id) === true) return true;
    for (let before = 0; before < at; before++) {
      const other = this.#candidates[before];
      if (other?.engine.id === engine.id && other.model === model) return true;
    }
    return false;
  }
}
