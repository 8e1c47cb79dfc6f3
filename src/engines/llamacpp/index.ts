/**
 * llama.cpp's own server (`llama-server`). Recognised by its Server header, or by what only `/props` tells; it names
 * its slots and its context, and ends every stream with `timings`, so that usage never has to be asked for.
 */
import type { Capability, EngineModel } from '../../contract';
import { isRecord } from '../../lib/json';
import type { EngineAdapter } from '../adapter';
import { getJson, integerOr, type JsonAnswer, recordsIn, textOr } from '../json';
import { openai, parseModels } from '../openai';
import { findLlamaServer } from './installed';

export const llamacpp: EngineAdapter = {
  ...openai,
  kind: 'llamacpp',
  title: 'llama.cpp',
  stayHome: 'Start it with: llama-server --host 127.0.0.1',
  ports: [8080],
  askForUsage: [],

  async probe(target, io) {
    const props = await getJson(target, '/props', io);
    if (!isLlamaServer(props)) return null;
    if (props.status === 401 || props.status === 403) return { status: 'needs-key' };
    if (props.status === 503) return { status: 'busy', reason: 'it is loading its model' };
    // --no-props answers 501: still llama.cpp, it only does not tell.
    const told = isRecord(props.json) ? props.json : {};
    return {
      status: 'running-healthy',
      version: textOr(told.build_info),
      slots: integerOr(told.total_slots, 1),
    };
  },

  async listModels(target, io) {
    const { status, json } = await getJson(target, '/v1/models', io);
    const models = parseModels(target, status, json);
    const props = await getJson(target, '/props', io);
    const entries = new Map(recordsIn(json, 'data').map((entry) => [entry.id, entry]));
    const told = isRecord(props.json) ? props.json : {};
    return models.map((model) => describe(model, entries.get(model.id), told));
  },

  findInstalled: findLlamaServer,
};

function isLlamaServer({ server, json }: JsonAnswer): boolean {
  return server === 'llama.cpp' || (isRecord(json) && 'default_generation_settings' in json);
}

type Told = Record<string, unknown>;

/** One model from its entry in the list and from `/props`, which speaks of the model in memory. */
function describe(model: EngineModel, entry: Told | undefined, props: Told): EngineModel {
  // It answers only once its model is in memory; a router's other models carry no meta.
  const loaded = isRecord(entry?.meta);
  const meta = isRecord(entry?.meta) ? entry.meta : {};
  const settings = isRecord(props.default_generation_settings) ? props.default_generation_settings : {};
  const aliases: unknown[] = Array.isArray(entry?.aliases) ? entry.aliases : [];
  return {
    ...model,
    otherNames: aliases.filter((name): name is string => typeof name === 'string' && name !== model.id),
    // `n_ctx` of `/props` is what one request may fill: the context divided by the slots.
    contextLength: integerOr(settings.n_ctx, 1) ?? integerOr(meta.n_ctx, 1) ?? integerOr(meta.n_ctx_train, 1),
    loaded,
    capabilities: loaded ? capabilitiesOf(model, props) : model.capabilities,
    parameters: parametersOf(integerOr(meta.n_params, 1)),
    quantization: textOr(meta.ftype),
    sizeBytes: integerOr(meta.size, 1),
  };
}

/** Whether it takes pictures and tools it tells; whether it embeds only its name does. */
function capabilitiesOf(model: EngineModel, props: Told): readonly Capability[] {
  const modalities = isRecord(props.modalities) ? props.modalities : {};
  const told = new Set<Capability>(model.capabilities);
  if (typeof props.chat_template === 'string' && /\btools\b/.test(props.chat_template)) told.add('tools');
  if (modalities.vision === true) told.add('vision');
  if (modalities.audio === true) told.add('audio');
  return [...told];
}

/** 134515008 is `135M`, 7615616512 is `7.6B`. */
function parametersOf(count: number | null): string | null {
  if (count === null) return null;
  const [unit, letter] = count < 1e9 ? [1e6, 'M'] : [1e9, 'B'];
  const value = count / unit;
  return `${value < 10 ? value.toFixed(1).replace('.0', '') : Math.round(value)}${letter}`;
}
