/** Whose turn it is: the candidates of a plan in their order, without those that there is no point in asking. */
import type { Candidate, EngineRef } from '../contract';

/** Engines that get one request. One that breaks whoever works on it must not go through all of them. */
const MAX_ASKED = 3;

export class Turns {
  readonly #candidates: readonly Candidate[];
  #next = 0;
  /** Engines that failed as a whole: another model of theirs would fail the same way. */
  #dismissed: Set<string> | null = null;
  /** How many got the request. */
  #asked = 0;

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = candidates;
  }

  /** The next to ask, or null after the last. */
  take(): Candidate | null {
    const at = this.#findNext();
    this.#next = at + 1;
    return this.#candidates[at] ?? null;
  }

  /** The request is on its way to the one whose turn it is. */
  asked(): void {
    this.#asked++;
  }

  /** It did not get there after all. */
  unreached(): void {
    this.#asked--;
  }

  /** Nobody else may be asked. */
  end(): void {
    this.#next = this.#candidates.length;
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
    if (this.#asked >= MAX_ASKED) return this.#candidates.length;
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
