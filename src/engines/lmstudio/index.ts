/**
 * LM Studio. Recognised by its own REST API: `/api/v1/models` since 0.4, `/api/v0/models` before. Both tell more of a
 * model than its OpenAI list does, which inference goes by.
 */
import type { Capability, EngineModel } from '../../contract';
import { isRecord } from '../../lib/json';
import type { EngineAdapter, EngineTarget, LookIo } from '../adapter';
import { getJson, integerOr, type JsonAnswer, recordsIn, textOr, unusable } from '../json';
import { openai } from '../openai';

export const lmstudio: EngineAdapter = {
  ...openai,
  kind: 'lmstudio',
  title: 'LM Studio',
  stayHome: 'Switch off "Serve on Local Network" in its server settings.',
  ports: [1234],
  routes: ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/messages'],

  async probe(target, io) {
    const list = await nativeList(target, io);
    if (list === 'needs-key') return { status: 'needs-key' };
    // Neither list names the version of the program.
    return list === null ? null : { status: 'running-healthy', version: null, slots: null };
  },

  async listModels(target, io) {
    const list = await nativeList(target, io);
    if (list === null || list === 'needs-key') {
      return unusable(target.baseUrl, 'neither /api/v1/models nor /api/v0/models is a list of models');
    }
    return list.map((entry) => ('key' in entry ? describe(entry) : describeOld(entry))).filter(isNamed);
  },
};

type Entry = Record<string, unknown>;

async function nativeList(target: EngineTarget, io: LookIo): Promise<readonly Entry[] | 'needs-key' | null> {
  const now = await getJson(target, '/api/v1/models', io);
  if (wantsKey(now)) return 'needs-key';
  const entries = listIn(now, 'models', isOwn);
  if (entries !== null && entries.length > 0) return entries;
  const before = await getJson(target, '/api/v0/models', io);
  if (wantsKey(before)) return 'needs-key';
  const old = listIn(before, 'data', isOwnOld);
  // Without any model, both lists together are what only it answers.
  return old !== null && (old.length > 0 || entries !== null) ? old : null;
}

/** The entries under `key`, or null when one of them is not what LM Studio lists. */
function listIn(
  { status, json }: JsonAnswer,
  key: string,
  isEntry: (entry: Entry) => boolean,
): Entry[] | null {
  const list: unknown = isRecord(json) ? json[key] : null;
  if (status !== 200 || !Array.isArray(list)) return null;
  return list.every((entry): entry is Entry => isRecord(entry) && isEntry(entry)) ? list : null;
}

function isOwn(entry: Entry): boolean {
  return (
    typeof entry.key === 'string' && typeof entry.type === 'string' && Array.isArray(entry.loaded_instances)
  );
}

function isOwnOld(entry: Entry): boolean {
  return typeof entry.id === 'string' && (entry.state === 'loaded' || entry.state === 'not-loaded');
}

/** With API tokens switched on (0.4), every path says "An LM Studio API token is required". */
function wantsKey({ status, json }: JsonAnswer): boolean {
  const error = isRecord(json) && isRecord(json.error) ? json.error : {};
  return (status === 401 || status === 403) && /LM Studio/i.test(textOr(error.message) ?? '');
}

/** An entry of `/api/v1/models`. */
function describe(entry: Entry): EngineModel {
  const instances = recordsIn(entry, 'loaded_instances');
  const config = isRecord(instances[0]?.config) ? instances[0].config : {};
  const can = isRecord(entry.capabilities) ? entry.capabilities : {};
  const quantization = isRecord(entry.quantization) ? entry.quantization.name : entry.quantization;
  const id = textOr(entry.key) ?? '';
  return {
    id,
    otherNames: instances
      .map((instance) => textOr(instance.id))
      .filter((name) => name !== null && name !== id) as string[],
    ownedBy: textOr(entry.publisher) ?? 'unknown',
    createdSeconds: 0,
    contextLength: integerOr(config.context_length, 1) ?? integerOr(entry.max_context_length, 1),
    loaded: instances.length > 0,
    capabilities: [
      ...talksOrEmbeds(entry.type),
      ...(can.trained_for_tool_use === true ? (['tools'] as const) : []),
      ...(can.vision === true ? (['vision'] as const) : []),
      ...(isRecord(can.reasoning) || can.reasoning === true ? (['reasoning'] as const) : []),
    ],
    family: textOr(entry.architecture),
    parameters: textOr(entry.params_string),
    quantization: textOr(quantization),
    sizeBytes: integerOr(entry.size_bytes, 0),
  };
}

/** An entry of `/api/v0/models`. */
function describeOld(entry: Entry): EngineModel {
  const can: unknown[] = Array.isArray(entry.capabilities) ? entry.capabilities : [];
  return {
    id: textOr(entry.id) ?? '',
    otherNames: [],
    ownedBy: textOr(entry.publisher) ?? 'unknown',
    createdSeconds: 0,
    contextLength: integerOr(entry.loaded_context_length, 1) ?? integerOr(entry.max_context_length, 1),
    loaded: entry.state === 'loaded',
    capabilities: [
      ...talksOrEmbeds(entry.type),
      ...(can.includes('tool_use') ? (['tools'] as const) : []),
      ...(entry.type === 'vlm' ? (['vision'] as const) : []),
    ],
    family: textOr(entry.arch),
    parameters: null,
    quantization: textOr(entry.quantization),
    sizeBytes: null,
  };
}

function talksOrEmbeds(type: unknown): readonly Capability[] {
  return type === 'embedding' || type === 'embeddings' ? ['embeddings'] : ['chat', 'completions'];
}

function isNamed(model: EngineModel): boolean {
  return model.id !== '';
}
