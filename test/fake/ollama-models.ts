/** What Ollama tells about its models: lists, details, what is in memory, and how names are matched. */
import type { EngineView } from './answer';
import { asFields } from './generate';
import { readRecordedJson } from './golden';
import type { KnownModel } from './models';

const MODIFIED = '2026-11-23T19:14:39.515205236Z';
const CREATED = 1795461279;

/** Finds a model by name: case does not matter, and a missing tag means `latest`. */
export function findModel(name: unknown, view: EngineView): KnownModel | null {
  const wanted = fullName(String(name)).toLowerCase();
  return view.catalogue.find((model) => fullName(model.name).toLowerCase() === wanted) ?? null;
}

/** The name that an error about a capability shows. */
export function longName(model: KnownModel): string {
  return `registry.ollama.ai/library/${fullName(model.name)}`;
}

/** GET /api/tags */
export function listTags(view: EngineView): object {
  const models = view.catalogue.map((model) => ({
    name: fullName(model.name),
    model: fullName(model.name),
    modified_at: MODIFIED,
    size: model.sizeBytes,
    digest: model.digest,
    details: details(model),
  }));
  return { models };
}

/** GET /api/ps */
export function listLoaded(view: EngineView): object {
  const loaded = view.catalogue.filter((model) => model.loaded);
  const models = loaded.map((model) => ({
    name: fullName(model.name),
    model: fullName(model.name),
    size: model.sizeBytes * 2,
    digest: model.digest,
    details: details(model),
    expires_at: '2026-11-23T19:36:08.737643311Z',
    size_vram: 0,
    context_length: model.loadedContextLength,
  }));
  return { models };
}

/** POST /api/show */
export function showModel(model: KnownModel): object {
  const can = model.capabilities;
  const like = can.includes('tools') ? 'show-tools' : can.includes('completion') ? 'show' : 'show-embed';
  const recorded = asFields(readRecordedJson('ollama', like)) ?? {};
  const info = Object.entries(asFields(recorded.model_info) ?? {}).map(([key, value]) => {
    const own = key.replace(/^llama\./, `${model.family}.`);
    if (own === `${model.family}.context_length`) return [own, model.contextLength];
    return [own, own === 'general.architecture' ? model.family : value];
  });
  return {
    ...recorded,
    details: { ...asFields(recorded.details), ...details(model), parent_model: '' },
    model_info: Object.fromEntries(info),
    capabilities: model.capabilities,
  };
}

/** GET /v1/models */
export function listModels(view: EngineView): object {
  return { object: 'list', data: view.catalogue.map((model) => oneModel(fullName(model.name))) };
}

/** GET /v1/models/{id}: under the name that was asked for. */
export function oneModel(name: string): object {
  return { id: name, object: 'model', created: CREATED, owned_by: 'library' };
}

function details(model: KnownModel): object {
  return {
    parent_model: '',
    format: 'gguf',
    family: model.family,
    families: [model.family],
    parameter_size: model.parameterSize,
    quantization_level: model.quantization,
  };
}

function fullName(name: string): string {
  return name.includes(':') ? name : `${name}:latest`;
}
