/** Engines as the rooms above them see them, for tests that need no engine. */
import type { Candidate, EngineModel, EngineState, Standing } from '../../src/contract';

/** A model of which only the name is known, unless `more` tells. */
export function modelNamed(id: string, more: Partial<EngineModel> = {}): EngineModel {
  return {
    id,
    otherNames: [],
    ownedBy: 'owner',
    createdSeconds: 5,
    contextLength: null,
    loaded: null,
    capabilities: [],
    family: null,
    parameters: null,
    quantization: null,
    sizeBytes: null,
    ...more,
  };
}

/** A healthy engine that can be asked for chats. */
export function engineWith(
  id: string,
  models: readonly (string | EngineModel)[],
  { kind = 'openai', ...more }: Partial<EngineState> & Partial<Pick<EngineState['ref'], 'kind'>> = {},
): EngineState {
  return {
    ref: { id, kind, baseUrl: `http://127.0.0.1/${id}`, origin: 'manual' },
    status: 'running-healthy',
    reason: null,
    version: null,
    latencyMs: 10,
    slots: null,
    consecutiveFailures: 0,
    routes: ['/v1/chat/completions'],
    models: models.map((model) => (typeof model === 'string' ? modelNamed(model) : model)),
    ...more,
  };
}

/** An idle engine of four slots about which nothing is known. */
export const IDLE: Standing = {
  available: true,
  degraded: false,
  slots: 4,
  freeSlots: 4,
  latencyMs: 10,
  errorRate: 0,
  tokensPerSecond: null,
};

/** `engine/model` of each. */
export function namesOf(candidates: readonly Candidate[]): string[] {
  return candidates.map(({ engine, model }) => `${engine.id}/${model}`);
}
