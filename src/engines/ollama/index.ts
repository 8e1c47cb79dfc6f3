/**
 * Ollama. Recognised by its own `/api/version`; `/api/tags` lists what it has, `/api/ps` what is in memory, and
 * `/api/show` tells of each model what it can do. Inference goes to its OpenAI-compatible routes.
 */
import type { Capability, EngineModel } from '../../contract';
import { isRecord } from '../../lib/json';
import { mapAtOnce } from '../../lib/map-at-once';
import type { EngineAdapter, EngineTarget, LookIo } from '../adapter';
import { findProgram } from '../installed';
import { getJson, integerOr, type JsonAnswer, postJson, recordsIn, textOr, unusable } from '../json';
import { openai } from '../openai';

/** How many models are asked about at once: Ollama reads a file for each. */
const SHOWN_AT_ONCE = 4;
/** How long a look waits for what it asks about models, and how long one of them may take. */
const DETAILS_WAIT_MS = 1_000;
const DETAILS_MS = 30_000;

export const ollama: EngineAdapter = {
  ...openai,
  kind: 'ollama',
  title: 'Ollama',
  stayHome: 'Set OLLAMA_HOST=127.0.0.1 for it and start it again.',
  ports: [11434],
  // Asked on /v1/completions, it writes zeros into every chunk and never a count.
  askForUsage: ['/v1/chat/completions'],
  routes: ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/messages'],

  async probe(target, io) {
    const told = await getJson(target, '/api/version', io);
    const version = isRecord(told.json) ? textOr(told.json.version) : null;
    if (told.status !== 200 || version === null) return null;
    const tags = await getJson(target, '/api/tags', io);
    if (tags.status === 401 || tags.status === 403) return { status: 'needs-key' };
    if (!isTagList(tags)) return null;
    return { status: 'running-healthy', version, slots: null };
  },

  async listModels(target, io) {
    const tags = await getJson(target, '/api/tags', io);
    if (!isTagList(tags)) unusable(target.baseUrl, 'its /api/tags is not a list of models');
    const loaded = await loadedModels(target, io);
    const entries = recordsIn(tags.json, 'models').filter(hasName);
    await Promise.race([readDetails(entries, target, io), patience()]);
    return entries.map((entry) => describe(entry, loaded, io));
  },

  // It never tells. What its owner has set holds for each model, so it is a lower bound.
  slotsFrom: (variable) => integerOr(Number(variable('OLLAMA_NUM_PARALLEL') ?? Number.NaN), 1),

  findInstalled: (env) =>
    findProgram({
      names: ['ollama'],
      folders: env.OLLAMA_HOME === undefined ? [] : [env.OLLAMA_HOME],
      env,
      version: /(\d+\.\d+\S*)/,
    }),
};

type Tag = Record<string, unknown> & { readonly name: string };

/** What Ollama says of one model, beyond the list. */
interface Shown {
  readonly capabilities: readonly Capability[];
  readonly contextLength: number | null;
}

const NOT_READ: Shown = { capabilities: [], contextLength: null };

function isTagList({ status, json }: JsonAnswer): boolean {
  return status === 200 && isRecord(json) && Array.isArray(json.models);
}

function hasName(entry: Record<string, unknown>): entry is Tag {
  return typeof entry.name === 'string' && entry.name !== '';
}

/** Names in memory, with the context each was loaded with. */
async function loadedModels(target: EngineTarget, io: LookIo): Promise<ReadonlyMap<string, number | null>> {
  const { json } = await getJson(target, '/api/ps', io);
  const entries = recordsIn(json, 'models').filter(hasName);
  return new Map(entries.map((entry) => [entry.name, integerOr(entry.context_length, 1)]));
}

/** Does not keep a finished program alive. */
function patience(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, DETAILS_WAIT_MS).unref());
}

/**
 * Reads what is not known yet of models, in the background and with a time of its own: how long that takes says nothing
 * of how the engine is. The next look has what this one did not wait for.
 */
function readDetails(entries: readonly Tag[], target: EngineTarget, io: LookIo): Promise<void> {
  const missing = entries.filter((entry) => io.memo.find(keyOf(entry)) === null);
  if (missing.length === 0) return Promise.resolve();
  return io.memo.once('details', async () => {
    await mapAtOnce(missing, SHOWN_AT_ONCE, async (entry) => {
      const own = { ...io, known: false, signal: AbortSignal.timeout(DETAILS_MS) };
      const shown = await show(entry.name, target, own).catch(() => null);
      if (shown !== null) io.memo.keep(keyOf(entry), shown);
    });
  });
}

/** What a digest stands for does not change. */
function keyOf({ name, digest }: Tag): string {
  return `${name} ${textOr(digest) ?? ''}`;
}

function describe(entry: Tag, loaded: ReadonlyMap<string, number | null>, io: LookIo): EngineModel {
  const details = isRecord(entry.details) ? entry.details : {};
  const shown = io.memo.find<Shown>(keyOf(entry)) ?? NOT_READ;
  return {
    id: entry.name,
    otherNames: entry.name.endsWith(':latest') ? [entry.name.slice(0, -':latest'.length)] : [],
    ownedBy: 'library',
    createdSeconds: secondsOf(entry.modified_at),
    contextLength: loaded.get(entry.name) ?? shown.contextLength,
    loaded: loaded.has(entry.name),
    capabilities: shown.capabilities,
    family: textOr(details.family),
    parameters: textOr(details.parameter_size),
    quantization: textOr(details.quantization_level),
    sizeBytes: integerOr(entry.size, 0),
  };
}

/** Null when it does not say now. */
async function show(model: string, target: EngineTarget, io: LookIo): Promise<Shown | null> {
  const { status, json } = await postJson(target, '/api/show', { model }, io);
  if (status !== 200 || !isRecord(json)) return null;
  const told: unknown[] = Array.isArray(json.capabilities) ? json.capabilities : [];
  return {
    capabilities: told.flatMap((word) => CAPABILITIES.get(String(word)) ?? []),
    contextLength: configuredContext(json.parameters) ?? trainedContext(json.model_info),
  };
}

/** Ollama's words for what a model can do (types/model/capability.go). */
const CAPABILITIES: ReadonlyMap<string, readonly Capability[]> = new Map([
  ['completion', ['chat', 'completions']],
  ['embedding', ['embeddings']],
  ['tools', ['tools']],
  ['vision', ['vision']],
  ['audio', ['audio']],
  ['thinking', ['reasoning']],
]);

/** `num_ctx 8192` among the parameters of a Modelfile. */
function configuredContext(parameters: unknown): number | null {
  const found = typeof parameters === 'string' ? /^num_ctx\s+(\d+)/m.exec(parameters) : null;
  return found === null ? null : Number(found[1]);
}

/** `<architecture>.context_length` of the model file: the most it was trained for. */
function trainedContext(info: unknown): number | null {
  if (!isRecord(info)) return null;
  const key = Object.keys(info).find((name) => name.endsWith('.context_length'));
  return key === undefined ? null : integerOr(info[key], 1);
}

function secondsOf(time: unknown): number {
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(ms) ? 0 : Math.floor(ms / 1_000);
}
