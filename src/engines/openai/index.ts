/**
 * Any server that speaks the OpenAI API. Also what the other adapters build on: they share its routes and differ in
 * how they are recognised and in what they tell about themselves.
 */
import type { EngineModel } from '../../contract';
import { isRecord } from '../../lib/json';
import type { EngineAdapter, EngineTarget, Probe } from '../adapter';
import { authorization, getJson, integerOr, type JsonAnswer, unusable } from '../json';
import { capabilitiesIn } from '../names';

export const openai: EngineAdapter = {
  kind: 'openai',
  title: 'OpenAI-compatible',
  stayHome: 'Have it listen on 127.0.0.1 alone.',
  // vLLM, LM Studio, Ollama and others: where such servers usually listen.
  ports: [8000, 1234, 11434, 8080, 5000],
  askForUsage: ['/v1/chat/completions', '/v1/completions'],
  // Nobody knows what it speaks: it says so itself.
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
    const answer = await getJson(target, '/v1/models', io);
    const probe = openaiProbe(answer);
    if (probe?.status !== 'running-healthy') return probe;
    const models = () => parseModels(target, answer.status, answer.json);
    return { ...probe, models: isRecord(answer.json) ? io.memo.derived(answer.json, models) : models() };
  },

  async listModels(target, io) {
    const { status, json } = await getJson(target, '/v1/models', io);
    return parseModels(target, status, json);
  },

  open(target, call, { egress, signal }) {
    return egress.send({
      url: target.baseUrl + call.route,
      method: 'POST',
      headers: { ...call.headers, ...authorization(target) },
      body: call.body,
      signal,
    });
  },
};

/** What an answer of `/v1/models` says about who gave it. FLM itself answers there too, and is no engine. */
export function openaiProbe({ status, server, json }: JsonAnswer): Probe | null {
  if (server === 'flm') return null;
  if (status === 200 && isModelList(json)) return { status: 'running-healthy', version: null, slots: null };
  // A 401 in JSON is an API that wants a key; one in HTML is somebody's web page.
  if ((status === 401 || status === 403) && isRecord(json) && 'error' in json) return { status: 'needs-key' };
  return null;
}

/** The entries of an OpenAI model list. @throws ENGINE_API_ERROR when it is none. */
export function parseModels(target: EngineTarget, status: number, json: unknown): EngineModel[] {
  if (status !== 200) unusable(target.baseUrl, `its model list answers ${status}`);
  if (!isModelList(json)) unusable(target.baseUrl, 'its model list is not an OpenAI model list');
  return json.data.filter(hasId).map((entry) => ({
    id: entry.id,
    otherNames: [],
    ownedBy: typeof entry.owned_by === 'string' ? entry.owned_by : 'unknown',
    createdSeconds: integerOr(entry.created, 0) ?? 0,
    contextLength: integerOr(entry.max_model_len, 1) ?? integerOr(entry.context_length, 1),
    loaded: null,
    capabilities: capabilitiesIn(entry.id),
    family: null,
    parameters: null,
    quantization: null,
    sizeBytes: null,
  }));
}

interface ModelList {
  readonly data: readonly unknown[];
}

/** `object` is left out by some servers; an array under `data` whose entries have ids is what matters. */
function isModelList(json: unknown): json is ModelList {
  return isRecord(json) && Array.isArray(json.data) && json.data.every(hasId);
}

function hasId(entry: unknown): entry is Record<string, unknown> & { id: string } {
  return isRecord(entry) && typeof entry.id === 'string' && entry.id !== '';
}
