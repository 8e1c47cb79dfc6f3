/** What every room may know of an engine: where it is, what it is, how it is, which models it has. */

/** The engines FLM has an adapter for. `openai` is any other server that speaks the OpenAI API. */
export type EngineKind = 'ollama' | 'vllm' | 'lmstudio' | 'llamacpp' | 'openai';

/** `manual`: added by the owner; `detected`: found on this machine; `trial`: FLM's own trial engine. */
export type EngineOrigin = 'manual' | 'detected' | 'trial';

export interface EngineRef {
  /** 1-100 characters of `[A-Za-z0-9_-]`, the first part of `flm://<engine>/<model>` (FLM-050). */
  readonly id: string;
  readonly kind: EngineKind;
  /** Origin and optional path prefix without a trailing slash: `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  readonly origin: EngineOrigin;
}

/** The routes of engines' own APIs that FLM publishes. What an engine does not speak, FLM does not ask it for. */
export type InferenceRoute =
  | '/v1/chat/completions'
  | '/v1/completions'
  | '/v1/embeddings'
  | '/v1/responses'
  | '/v1/messages'
  | '/v1/messages/count_tokens'
  | '/v1/rerank';

/** What a model can do or take (FLM-048). `chat` includes streams; `vision` and `audio` mean as input. */
export type Capability =
  | 'chat'
  | 'completions'
  | 'embeddings'
  | 'rerank'
  | 'tools'
  | 'vision'
  | 'audio'
  | 'reasoning';

export interface EngineModel {
  /** The engine's own name for it; may hold `/` and `:`. */
  readonly id: string;
  /** Other names that the engine takes for the same model: Ollama's `llama3.2` for `llama3.2:latest`. */
  readonly otherNames: readonly string[];
  readonly ownedBy: string;
  /** Seconds since 1970, as the OpenAI list has it. */
  readonly createdSeconds: number;
  /** Tokens a request may fill, where the engine tells. */
  readonly contextLength: number | null;
  /** Whether the model is in memory, where the engine tells. */
  readonly loaded: boolean | null;
  /** What the engine says the model can do; empty when it does not tell. */
  readonly capabilities: readonly Capability[];
  /** As the engine calls it: `llama`, `qwen2`. */
  readonly family: string | null;
  /** Number of parameters, as people say it: `135M`, `7.6B`. */
  readonly parameters: string | null;
  /** `Q4_K_M`, `BF16`. */
  readonly quantization: string | null;
  readonly sizeBytes: number | null;
}

/**
 * How an engine is (FLM-044): it answers; it answers late, or says that it has too much to do; it wants a key FLM does not
 * have; nothing answers there; something answers that is not usable; or its program is installed and does not run.
 */
export type EngineStatus =
  | 'running-healthy'
  | 'running-degraded'
  | 'needs-key'
  | 'error-network'
  | 'error-api'
  | 'installed-only';

export interface EngineState {
  readonly ref: EngineRef;
  readonly status: EngineStatus;
  /** Why it is not running, in words for the owner. */
  readonly reason: string | null;
  readonly version: string | null;
  /** Duration of the last probe that was answered. */
  readonly latencyMs: number | null;
  /** Requests the engine works on at once, where it tells. */
  readonly slots: number | null;
  /** Looks in a row that found it not answering. */
  readonly consecutiveFailures: number;
  readonly routes: readonly InferenceRoute[];
  readonly models: readonly EngineModel[];
}

/** How an engine is doing for one model at this moment: what candidates are ordered by. */
export interface Standing {
  /** False while its breaker is open: it is asked only when nobody else is left. */
  readonly available: boolean;
  /** It answers, but worse than it used to (FLM-044, HL-081). */
  readonly degraded: boolean;
  /** Requests the engine works on at once. */
  readonly slots: number;
  /** Slots nobody has taken, minus requests that wait for one: below zero when there is a queue. */
  readonly freeSlots: number;
  /** Of the last probe. */
  readonly latencyMs: number;
  /** Share of recent requests for the model that it failed, 0 to 1. */
  readonly errorRate: number;
  /** Recent output of one request for the model, or null when none was seen. */
  readonly tokensPerSecond: number | null;
}
