/** What LM Studio tells about its models, in its three lists, and which one a name means. */
import type { EngineView } from './answer';
import type { KnownModel } from './models';

/** GET /api/v0/models */
export function listV0(view: EngineView): object {
  return { object: 'list', data: view.catalogue.map(describeV0) };
}

/** GET /api/v0/models/{model} */
export function describeV0(model: KnownModel): object {
  const { capabilities } = model;
  const tools = capabilities.includes('tools') ? { capabilities: ['tool_use'] } : {};
  return {
    id: model.name,
    object: 'model',
    type: isEmbedding(model) ? 'embeddings' : capabilities.includes('vision') ? 'vlm' : 'llm',
    publisher: 'HuggingFaceTB',
    arch: model.family,
    compatibility_type: 'gguf',
    quantization: model.quantization,
    state: model.loaded ? 'loaded' : 'not-loaded',
    max_context_length: model.contextLength,
    ...(model.loaded ? { loaded_context_length: model.loadedContextLength } : {}),
    ...tools,
  };
}

/** GET /api/v1/models */
export function listV1(view: EngineView): object {
  return { models: view.catalogue.map(describeV1) };
}

function describeV1(model: KnownModel): object {
  const embedding = isEmbedding(model);
  const config = {
    context_length: model.loadedContextLength,
    ...(embedding ? {} : { eval_batch_size: 512, flash_attention: false, offload_kv_cache_to_gpu: true }),
  };
  const capabilities = {
    vision: model.capabilities.includes('vision'),
    trained_for_tool_use: model.capabilities.includes('tools'),
  };
  return {
    type: embedding ? 'embedding' : 'llm',
    publisher: 'HuggingFaceTB',
    key: model.name,
    display_name: model.name,
    ...(embedding ? {} : { architecture: model.family }),
    quantization: {
      name: model.quantization,
      bits_per_weight: Number(/\d+/.exec(model.quantization)?.[0] ?? 0),
    },
    size_bytes: model.sizeBytes,
    params_string: embedding ? null : model.parameterSize,
    loaded_instances: model.loaded ? [{ id: model.name, config }] : [],
    max_context_length: model.contextLength,
    format: 'gguf',
    ...(embedding ? {} : { capabilities, description: null }),
  };
}

/** GET /v1/models: all that are downloaded, as just-in-time loading can load them. */
export function listModels(view: EngineView): object {
  const data = view.models.map((id) => ({ id, object: 'model', owned_by: 'organization_owner' }));
  return { data, object: 'list' };
}

/** The model that a request means: the one named, else the only one in memory, whatever was asked for. */
export function findModel(name: unknown, view: EngineView): KnownModel | null {
  const named = view.catalogue.find((model) => model.name === name);
  if (named) return named;
  const loaded = view.catalogue.filter((model) => model.loaded);
  return loaded.length === 1 ? (loaded[0] ?? null) : null;
}

function isEmbedding(model: KnownModel): boolean {
  return model.capabilities.includes('embedding');
}
