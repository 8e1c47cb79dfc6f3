/**
 * vLLM. Recognised by `/version` together with a list of models that it owns; its key guards `/v1` only, so the
 * version is told to anybody.
 */
import type { EngineModel } from '../../contract';
import { isRecord } from '../../lib/json';
import type { EngineAdapter, EngineTarget } from '../adapter';
import { getJson, type JsonAnswer, recordsIn, textOr } from '../json';
import { openai, parseModels } from '../openai';

export const vllm: EngineAdapter = {
  ...openai,
  kind: 'vllm',
  title: 'vLLM',
  stayHome: 'Start it with: vllm serve MODEL --host 127.0.0.1',
  ports: [8000],
  routes: [
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/embeddings',
    '/v1/responses',
    '/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/rerank',
  ],

  async probe(target, io) {
    const told = await getJson(target, '/version', io);
    const version = isRecord(told.json) ? textOr(told.json.version) : null;
    if (told.status !== 200 || version === null) return null;
    const models = await getJson(target, '/v1/models', io);
    if (wantsKey(models)) return { status: 'needs-key' };
    const owned = recordsIn(models.json, 'data').some((entry) => entry.owned_by === 'vllm');
    return owned
      ? { status: 'running-healthy', version, slots: null, models: modelsIn(target, models) }
      : null;
  },

  async listModels(target, io) {
    return modelsIn(target, await getJson(target, '/v1/models', io));
  },
};

/** It serves what it has loaded, and never anything else. */
function modelsIn(target: EngineTarget, { status, json }: JsonAnswer): EngineModel[] {
  return parseModels(target, status, json).map((model) => ({ ...model, loaded: true }));
}

/** `{"error": "Unauthorized"}`: its error is a word and no object. */
function wantsKey({ status, json }: JsonAnswer): boolean {
  return status === 401 && isRecord(json) && json.error === 'Unauthorized';
}
