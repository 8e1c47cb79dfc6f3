/** The models room: one catalogue of what all engines have, and where a request for a model can go. */
export { addressOf } from './address';
export type { ModelList, ModelsApi, ModelView, OpenAiModel } from './model';
export { createModels, type Models } from './service';
