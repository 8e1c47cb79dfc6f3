/** Models of engines that do not answer at the moment: whoever asks for one is told to come back, not that it does not exist. */
import type { EngineState } from '../contract';
import { type Catalogue, createCatalogue, type Entry } from './catalogue';

export interface Away {
  /** Takes over how the engines are. What an engine that is no longer known had is forgotten. */
  update(states: readonly EngineState[]): void;
  /** The copies that a name means on engines that are away. @throws INVALID_MODEL */
  find(name: string): readonly Entry[];
}

export function createAway(): Away {
  /** How each engine was when it last answered. */
  let last = new Map<string, EngineState>();
  let catalogue: Catalogue = createCatalogue([]);

  return {
    update(states) {
      const missing: EngineState[] = [];
      const next = new Map<string, EngineState>();
      for (const state of states) {
        const known = state.status.startsWith('running-') ? state : last.get(state.ref.id);
        if (known === undefined) continue;
        next.set(state.ref.id, known);
        if (known !== state) missing.push(known);
      }
      last = next;
      catalogue = createCatalogue(missing);
    },
    find: (name) => catalogue.find(name),
  };
}
