/** Where a request can go: the candidates in the order they are tried. */
import type { EngineRef } from './engine';

export interface Candidate {
  readonly engine: EngineRef;
  /** The engine's own name of the model: what the body must say when it gets there. */
  readonly model: string;
}

export interface Plan {
  /** The model as the client wrote it: what the answer must say. */
  readonly requested: string;
  /** Never empty. */
  readonly candidates: readonly Candidate[];
}
