/** The engines room: adapters, detection, and how every engine is. */

export { type Occupant, usualPorts, whoIsAt, whoListens } from './detect';
export { createHistoryStore, type HistoryStore } from './history/store';
export {
  EngineInput,
  type EngineList,
  type EnginesApi,
  type EngineView,
  type HealthHistory,
  type TrialView,
} from './model';
export { createProcessTable } from './processes';
export { adapterOf, ENGINE_KINDS, findKind } from './registry';
export { createEngines, type Engines } from './service';
export { createEngineStore, type EngineStore } from './store';
export { createTrial, type Trial, type TrialState } from './trial';
