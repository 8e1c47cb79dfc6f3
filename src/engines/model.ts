/** Shapes of the engines API, and what the CLI needs of it. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';
import { ENGINE_KINDS } from './registry';

const EngineCapabilities = Type.Object(
  {
    chat: Type.Boolean(),
    chat_stream: Type.Boolean(),
    embeddings: Type.Boolean(),
    rerank: Type.Boolean(),
    tools: Type.Boolean(),
    reasoning: Type.Boolean(),
    vision_inputs: Type.Boolean(),
    audio_inputs: Type.Boolean(),
    routes: Type.Array(Type.String(), { description: 'Routes that FLM asks it for.' }),
  },
  { description: 'What the engine, with at least one of its models, can do (FLM-048).' },
);
export type EngineCapabilities = Static<typeof EngineCapabilities>;

export const EngineView = Type.Object(
  {
    id: Type.String({ examples: ['llamacpp-default'] }),
    kind: oneOf(ENGINE_KINDS),
    name: Type.String({ examples: ['llama.cpp'] }),
    url: Type.String({ examples: ['http://127.0.0.1:8080'] }),
    origin: oneOf(['manual', 'detected', 'trial']),
    version: nullable(Type.String()),
    status: Type.Object({
      status: oneOf([
        'running-healthy',
        'running-degraded',
        'needs-key',
        'error-network',
        'error-api',
        'installed-only',
      ]),
      latency_ms: nullable(Type.Number()),
      reason: nullable(Type.String()),
      consecutive_failures: Type.Integer(),
    }),
    breaker: oneOf(['closed', 'open', 'half-open'], {
      description: 'Open: left alone for a while after failures in a row.',
    }),
    capabilities: EngineCapabilities,
    slots: nullable(Type.Integer(), { description: 'Requests it works on at once.' }),
    models: Type.Array(Type.String(), { description: "The engine's own names." }),
  },
  { description: 'An engine as FLM sees it now (FLM-045).' },
);
export type EngineView = Static<typeof EngineView>;

export const EngineList = Type.Object(
  { items: Type.Array(EngineView), next: Type.Null() },
  { description: 'Engines.' },
);
export type EngineList = Static<typeof EngineList>;

export const EngineInput = Type.Object(
  {
    url: Type.String({ minLength: 1, maxLength: 2_000 }),
    kind: Type.Optional(Type.String({ description: 'Left out, FLM asks the engine what it is.' })),
    id: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,100}$' })),
    key: Type.Optional(
      Type.String({ minLength: 1, maxLength: 4_000, description: 'What the engine itself wants.' }),
    ),
    slots: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  },
  { additionalProperties: false },
);
export type EngineInput = Static<typeof EngineInput>;

export const HealthQuery = Type.Object({
  engine: nullable(Type.String({ maxLength: 100, description: 'Its id, or a kind: all engines of it.' })),
  model: nullable(Type.String({ maxLength: 200 })),
  hours: Type.Integer({ minimum: 1, maximum: 24 * 366 }),
  limit: Type.Integer({ minimum: 1, maximum: 10_000 }),
});
export type HealthQuery = Static<typeof HealthQuery>;

const HEALTH = oneOf(['healthy', 'degraded', 'unreachable']);

export const HealthHistory = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        id: Type.Integer(),
        engine_id: Type.String(),
        model_id: nullable(Type.String(), { description: 'Null for a look at the engine itself.' }),
        status: HEALTH,
        latency_ms: nullable(Type.Integer(), {
          description: 'Of a look: until it answered. Of requests: until the first token, on average.',
        }),
        error_rate: Type.Number({ description: 'Of a look a figure for its status: 0, 0.1 or 1.' }),
        requests: Type.Integer({ description: 'Requests the row sums up; 0 for a look.' }),
        created_at: Type.String({ format: 'date-time' }),
      }),
    ),
    summary: Type.Object({
      total: Type.Integer(),
      healthy: Type.Integer(),
      degraded: Type.Integer(),
      unreachable: Type.Integer(),
      avg_latency_ms: nullable(Type.Integer()),
      avg_error_rate: nullable(Type.Number()),
      success_rate: nullable(Type.Number(), { description: 'Share of the rows that are healthy.' }),
    }),
    next: Type.Null(),
  },
  { description: 'How engines were, newest first (FLM-047).' },
);
export type HealthHistory = Static<typeof HealthHistory>;

export const EngineRemoved = Type.Object(
  { id: Type.String(), removed: Type.Literal(true) },
  { description: 'The engine is forgotten.' },
);
export type EngineRemoved = Static<typeof EngineRemoved>;

export const TrialView = Type.Object(
  {
    installed: Type.Boolean(),
    running: Type.Boolean(),
    url: nullable(Type.String()),
    pid: nullable(Type.Integer()),
    model: Type.String(),
    error: nullable(Type.String()),
  },
  { description: 'The trial engine.' },
);
export type TrialView = Static<typeof TrialView>;

/** What the CLI needs of the engines, whether FLM runs or not. */
export interface EnginesApi {
  list(): Promise<EngineList>;
  healthHistory(query: HealthQuery): Promise<HealthHistory>;
  /** Looks at every place again, now; installed programs that do not run are listed too. */
  detect(): Promise<EngineList>;
  /** @throws ENGINE_EXISTS, ENGINE_URL_REFUSED, ENGINE_NETWORK_ERROR when it has to be asked and does not answer */
  add(input: EngineInput): Promise<EngineView>;
  /** @throws ENGINE_NOT_FOUND; INVALID_INPUT for engines that were not added by hand */
  remove(id: string): Promise<EngineRemoved>;
  /** Starts the installed trial engine, or says how it is when FLM does not run. @throws TRIAL_FAILED */
  startTrial(): Promise<TrialView>;
  stopTrial(): Promise<TrialView>;
}
