/** Shapes of the model catalogue: the owner's list, and the entries of `GET /v1/models`. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable } from '../lib/schema';

export const ModelView = Type.Object(
  {
    id: Type.String({ description: "The engine's own name." }),
    uri: Type.String({ examples: ['flm://trial/smollm2-135m-instruct'] }),
    engine: Type.String(),
    kind: Type.String(),
    loaded: nullable(Type.Boolean()),
    context_length: nullable(Type.Integer()),
    capabilities: Type.Array(Type.String()),
  },
  { description: 'A model on one engine.' },
);
export type ModelView = Static<typeof ModelView>;

export const ModelList = Type.Object(
  { items: Type.Array(ModelView), next: Type.Null() },
  { description: 'Every model of every running engine.' },
);
export type ModelList = Static<typeof ModelList>;

/** An entry of OpenAI's model list, with what FLM knows beside it (design §3 "Models and API"). */
export interface OpenAiModel {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
  readonly flm: {
    readonly uri: string;
    readonly engine: string;
    readonly kind: string;
    readonly loaded: boolean | null;
    readonly context_length: number | null;
    readonly capabilities: readonly string[];
  };
}

/** What the CLI needs of the models, whether FLM runs or not. */
export interface ModelsApi {
  /** @throws ENGINE_NOT_FOUND when `engine` is given and unknown */
  list(engine: string | null): Promise<ModelList>;
}
