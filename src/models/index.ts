/** The models room: one catalogue of what all engines have, and where a request for a model can go. */
export {
  AliasInput,
  type AliasList,
  type AliasView,
  type CopyView,
  type ModelDetail,
  type ModelList,
  type ModelsApi,
  type ModelView,
  type OpenAiModel,
  StrategyInput,
  type StrategyList,
  type StrategyView,
} from './model';
export { STRATEGIES, type Strategy } from './rank';
export { createModels, type Models } from './service';
export { createRuleStore, type RuleStore } from './store';
export { formatTargets, parseTargets } from './targets';
