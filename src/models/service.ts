/** Plans where a request can go, and lists what there is. */
import type { Candidate, EngineState, Plan } from '../contract';
import { FlmError } from '../lib/errors';
import { parseModelName } from './address';
import { createCatalogue, type Entry, openAiEntry, viewOf } from './catalogue';
import type { ModelsApi, OpenAiModel } from './model';

export interface Models extends ModelsApi {
  /** Takes over what is known of the engines. */
  update(states: readonly EngineState[]): void;
  /**
   * Where a request for `model` can go, best first. Waits only when the model is unknown: then the engines are asked
   * once more, because it may have appeared since.
   * @throws INVALID_MODEL, MODEL_NOT_FOUND, ENGINE_NOT_FOUND
   */
  plan(model: string): Plan | Promise<Plan>;
  /** `GET /v1/models` for somebody who may use the candidates that `allowed` lets through; plain names, each once. */
  openAiList(allowed: (candidate: Candidate) => boolean): OpenAiModel[];
  /** `GET /v1/models/{id}`. @throws as plan */
  openAiModel(model: string, allowed: (candidate: Candidate) => boolean): Promise<OpenAiModel>;
}

/** Asks the engines what they have, unless that was done less than `maxAgeMs` ago; resolves when the answers are in. */
export type Refresh = (maxAgeMs: number) => Promise<void>;

/** A model that nobody has is looked for at most this often, however many ask for it. */
const MISS_MS = 2_000;
/** Lists show a look that is at most this old. */
const FRESH_MS = 15_000;

export function createModels(refresh: Refresh): Models {
  let catalogue = createCatalogue([]);

  function find(model: string): readonly Entry[] {
    const name = parseModelName(model);
    if (name.kind === 'plain') return catalogue.byName(name.model);
    const entry = catalogue.byAddress(name.engine, name.model);
    return entry === null ? [] : [entry];
  }

  async function findAfterRefresh(model: string): Promise<readonly Entry[]> {
    await refresh(MISS_MS);
    const entries = find(model);
    if (entries.length > 0) return entries;
    const name = parseModelName(model);
    if (name.kind === 'address' && !catalogue.hasEngine(name.engine)) {
      throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine: name.engine }, param: 'model' });
    }
    throw new FlmError('MODEL_NOT_FOUND', { meta: { model }, param: 'model' });
  }

  return {
    update(states) {
      catalogue = createCatalogue(states);
    },

    plan(model) {
      const entries = find(model);
      if (entries.length > 0) return { requested: model, candidates: entries };
      return findAfterRefresh(model).then((candidates) => ({ requested: model, candidates }));
    },

    openAiList(allowed) {
      const list: OpenAiModel[] = [];
      const listed = new Set<string>();
      for (const entry of catalogue.entries) {
        if (listed.has(entry.model) || !allowed(entry)) continue;
        listed.add(entry.model);
        list.push(openAiEntry(entry.model, entry));
      }
      return list;
    },

    async openAiModel(model, allowed) {
      const found = find(model);
      const entries = found.length > 0 ? found : await findAfterRefresh(model);
      const entry = entries.find(allowed);
      if (entry === undefined) throw new FlmError('MODEL_NOT_ALLOWED', { meta: { model }, param: 'model' });
      return openAiEntry(model, entry);
    },

    async list(engine) {
      await refresh(FRESH_MS);
      const entries = catalogue.entries.filter(
        (entry) => engine === null || entry.engine.id === engine || entry.engine.kind === engine,
      );
      if (engine !== null && entries.length === 0 && !catalogue.hasEngine(engine)) {
        throw new FlmError('ENGINE_NOT_FOUND', { meta: { engine } });
      }
      return { items: entries.map(viewOf), next: null };
    },
  };
}
