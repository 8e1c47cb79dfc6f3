/** Shapes of the model catalogue: the owner's lists, aliases and strategies, and the entries of `GET /v1/models`. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';
import { STRATEGIES } from './rank';
import { MAX_TARGETS, MAX_WEIGHT } from './targets';

/** A name as clients write it: an address of an engine's longest id and a model's longest name. */
const Name = Type.String({ minLength: 1, maxLength: 320 });
const Count = Type.Integer({ minimum: 0 });
const Strategy = oneOf(STRATEGIES, { description: 'How to choose among engines.' });
const Copies = Type.Integer({ minimum: 0, description: 'How many running engines have it now.' });

export const ModelView = Type.Object(
  {
    id: Type.String({ description: "The engine's own name." }),
    other_names: Type.Array(Type.String(), { description: 'Other names that the engine takes for it.' }),
    uri: Type.String({ examples: ['flm://trial/smollm2-135m-instruct'] }),
    engine: Type.String(),
    kind: Type.String(),
    loaded: nullable(Type.Boolean()),
    context_length: nullable(Type.Integer()),
    capabilities: Type.Array(Type.String()),
    family: nullable(Type.String()),
    parameters: nullable(Type.String(), { examples: ['135M'] }),
    quantization: nullable(Type.String(), { examples: ['Q4_K_M'] }),
    size_bytes: nullable(Type.Integer()),
  },
  { description: 'A model on one engine.' },
);
export type ModelView = Static<typeof ModelView>;

export const ModelList = Type.Object(
  { items: Type.Array(ModelView), next: Type.Null() },
  { description: 'Every model of every running engine.' },
);
export type ModelList = Static<typeof ModelList>;

const StandingView = Type.Object(
  {
    available: Type.Boolean({ description: 'False while it is left alone after failures in a row.' }),
    degraded: Type.Boolean({ description: 'It answers, but worse than it used to.' }),
    reason: nullable(Type.String(), { description: 'Why it is degraded.' }),
    slots: nullable(Count, { description: 'Requests it works on at once; null where nobody tells.' }),
    free_slots: nullable(Type.Integer(), { description: 'Below zero when requests wait.' }),
    latency_ms: Type.Number(),
    error_rate: Type.Number({ description: 'Share of recent requests that it failed, 0 to 1.' }),
    tokens_per_second: nullable(Type.Number()),
  },
  { description: 'How the engine is doing for the model.' },
);

export const CopyView = Type.Object(
  { ...ModelView.properties, routes: Type.Array(Type.String()), standing: StandingView },
  { description: 'A model on one engine, and how it is doing there.' },
);
export type CopyView = Static<typeof CopyView>;

export const AliasView = Type.Object(
  {
    name: Type.String(),
    places: Type.Array(
      Type.Array(Type.Object({ model: Type.String(), weight: Type.Integer(), copies: Copies })),
      { description: 'The first is asked first; models of one place share its requests by weight.' },
    ),
    strategy: Strategy,
    shadows: Type.Boolean({
      description: 'A running engine has a model of that name, which clients reach by its address alone.',
    }),
    updated_at: Type.String({ format: 'date-time' }),
  },
  { description: 'A name of the owner that stands for models.' },
);
export type AliasView = Static<typeof AliasView>;

export const AliasList = Type.Object(
  { items: Type.Array(AliasView), next: Type.Null() },
  { description: 'All aliases, by name.' },
);
export type AliasList = Static<typeof AliasList>;

export const AliasInput = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200 }),
    places: Type.Array(
      Type.Array(
        Type.Object(
          { model: Name, weight: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_WEIGHT })) },
          { additionalProperties: false },
        ),
        { minItems: 1, maxItems: MAX_TARGETS },
      ),
      { minItems: 1, maxItems: MAX_TARGETS },
    ),
  },
  { additionalProperties: false },
);
export type AliasInput = Static<typeof AliasInput>;

export const AliasRemoved = Type.Object(
  { name: Type.String(), removed: Type.Literal(true) },
  { description: 'The alias is forgotten.' },
);
export type AliasRemoved = Static<typeof AliasRemoved>;

export const StrategyView = Type.Object(
  {
    name: Type.String(),
    strategy: Strategy,
    set: Type.Boolean({ description: 'Else it is the default.' }),
    copies: Copies,
  },
  { description: 'How one of several engines is chosen when a name is asked for.' },
);
export type StrategyView = Static<typeof StrategyView>;

export const StrategyList = Type.Object(
  { items: Type.Array(StrategyView), next: Type.Null() },
  { description: 'The strategies that were set, by name.' },
);
export type StrategyList = Static<typeof StrategyList>;

export const StrategyInput = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 200 }), strategy: Strategy },
  { additionalProperties: false },
);
export type StrategyInput = Static<typeof StrategyInput>;

export const ModelDetail = Type.Object(
  {
    name: Type.String(),
    alias: nullable(AliasView),
    strategy: Strategy,
    copies: Type.Array(CopyView, { description: 'In the order in which they would be asked now.' }),
  },
  { description: 'What a name means at this moment.' },
);
export type ModelDetail = Static<typeof ModelDetail>;

/** An entry of OpenAI's model list, with what FLM knows beside it (design §3 "Models and API"). */
export interface OpenAiModel {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
  readonly flm: {
    /** Where it is; all three are null for an alias, which is in several places. */
    readonly uri: string | null;
    readonly engine: string | null;
    readonly kind: string | null;
    readonly loaded: boolean | null;
    readonly context_length: number | null;
    readonly capabilities: readonly string[];
    readonly family: string | null;
    readonly parameters: string | null;
    readonly quantization: string | null;
    /** Aliases alone: the models it stands for that are there, as far as the client may name them itself. */
    readonly alias_of?: readonly string[];
  };
}

/** What the CLI needs of the models, whether FLM runs or not. */
export interface ModelsApi {
  /** @throws ENGINE_NOT_FOUND when `engine` is given and unknown */
  list(engine: string | null): Promise<ModelList>;
  /** @throws INVALID_MODEL, MODEL_NOT_FOUND, ENGINE_NOT_FOUND */
  show(name: string): Promise<ModelDetail>;
  aliases(): Promise<AliasList>;
  /** Makes an alias, or gives one other targets. @throws INVALID_INPUT */
  setAlias(input: AliasInput): Promise<AliasView>;
  /** @throws ALIAS_NOT_FOUND */
  removeAlias(name: string): Promise<AliasRemoved>;
  strategies(): Promise<StrategyList>;
  /** @throws INVALID_INPUT */
  setStrategy(input: StrategyInput): Promise<StrategyView>;
  /** Back to the default; so it is where nothing was set. */
  unsetStrategy(name: string): Promise<StrategyView>;
}
