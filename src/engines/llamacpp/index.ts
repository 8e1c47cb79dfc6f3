/**
 * llama.cpp's own server (`llama-server`). Recognised by its Server header, or by what only `/props` tells; it names
 * its slots and its context, and ends every stream with `timings`, so that usage never has to be asked for.
 */
import type { EngineModel } from '../../contract';
import { isRecord } from '../../lib/json';
import type { EngineAdapter, EngineIo, EngineTarget } from '../adapter';
import { getJson, integerOr, type JsonAnswer } from '../json';
import { openai, parseModels } from '../openai';
import { findLlamaServer } from './installed';

export const llamacpp: EngineAdapter = {
  ...openai,
  kind: 'llamacpp',
  title: 'llama.cpp',
  ports: [8080],
  usage: 'always',

  async probe(target, io) {
    const props = await getJson(target, '/props', io);
    if (!isLlamaServer(props)) return null;
    if (props.status === 401 || props.status === 403) return { status: 'needs-key' };
    // --no-props answers 501: still llama.cpp, it only does not tell.
    const told = isRecord(props.json) ? props.json : {};
    return {
      status: 'running-healthy',
      version: typeof told.build_info === 'string' ? told.build_info : null,
      slots: integerOr(told.total_slots, 1),
    };
  },

  async listModels(target, io) {
    const { status, json } = await getJson(target, '/v1/models', io);
    const models = parseModels(target, status, json);
    const contextLength = await contextPerSlot(target, io);
    return models.map((model) => describe(model, json, contextLength));
  },

  findInstalled: findLlamaServer,
};

function isLlamaServer({ server, json }: JsonAnswer): boolean {
  return server === 'llama.cpp' || (isRecord(json) && 'default_generation_settings' in json);
}

/** `n_ctx` of `/props` is what one request may fill: the context divided by the slots. */
async function contextPerSlot(target: EngineTarget, io: EngineIo): Promise<number | null> {
  const { json } = await getJson(target, '/props', io);
  const settings = isRecord(json) ? json.default_generation_settings : null;
  return isRecord(settings) ? integerOr(settings.n_ctx, 1) : null;
}

function describe(model: EngineModel, json: unknown, contextLength: number | null): EngineModel {
  const data = isRecord(json) && Array.isArray(json.data) ? json.data : [];
  const entry: unknown = data.find((item) => isRecord(item) && item.id === model.id);
  const meta = isRecord(entry) && isRecord(entry.meta) ? entry.meta : {};
  return {
    ...model,
    contextLength: contextLength ?? integerOr(meta.n_ctx, 1) ?? integerOr(meta.n_ctx_train, 1),
    // It answers only once its model is in memory; a router's other models carry no meta.
    loaded: isRecord(entry) && isRecord(entry.meta),
  };
}
