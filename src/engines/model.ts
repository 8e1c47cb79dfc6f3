/** Shapes of the engines API, and what the CLI needs of it. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';
import { ENGINE_KINDS } from './registry';

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
    }),
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
