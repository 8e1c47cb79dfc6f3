/** What every room may know of an engine: where it is, what it is, how it is, which models it has. */

/** The engines FLM has an adapter for. `openai` is any other server that speaks the OpenAI API. */
export type EngineKind = 'llamacpp' | 'openai';

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

export type Capability = 'chat' | 'completions' | 'embeddings';

export interface EngineModel {
  /** The engine's own name for it; may hold `/` and `:`. */
  readonly id: string;
  readonly ownedBy: string;
  /** Seconds since 1970, as the OpenAI list has it. */
  readonly createdSeconds: number;
  /** Tokens a request may fill, where the engine tells. */
  readonly contextLength: number | null;
  /** Whether the model is in memory, where the engine tells. */
  readonly loaded: boolean | null;
  /** What the engine says the model can do; empty when it does not tell. */
  readonly capabilities: readonly Capability[];
}

/**
 * How an engine is (FLM-044): it answers; it wants a key FLM does not have; nothing answers there; something answers
 * that is not usable; or its program is installed and does not run.
 */
export type EngineStatus = 'running-healthy' | 'needs-key' | 'error-network' | 'error-api' | 'installed-only';

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
  readonly models: readonly EngineModel[];
}
