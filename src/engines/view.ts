/** How engines are shown to their owner. */
import type { EngineState } from '../contract';
import type { Env } from '../lib/paths';
import type { EngineView, TrialView } from './model';
import { ADAPTERS, RECOGNITION } from './registry';
import type { Trial } from './trial';

export function viewOf(state: EngineState): EngineView {
  return {
    id: state.ref.id,
    kind: state.ref.kind,
    name: ADAPTERS[state.ref.kind].title,
    url: state.ref.baseUrl,
    origin: state.ref.origin,
    version: state.version,
    status: { status: state.status, latency_ms: state.latencyMs, reason: state.reason },
    slots: state.slots,
    models: state.models.map((model) => model.id),
  };
}

/** Programs that are installed while no engine of their kind runs. */
export async function installedOnly(states: readonly EngineState[], env: Env): Promise<EngineView[]> {
  const views: EngineView[] = [];
  for (const adapter of RECOGNITION) {
    if (states.some((state) => state.ref.kind === adapter.kind && state.ref.origin !== 'trial')) continue;
    const program = await adapter.findInstalled?.(env);
    if (program === undefined || program === null) continue;
    views.push({
      id: `${adapter.kind}-default`,
      kind: adapter.kind,
      name: adapter.title,
      url: `http://127.0.0.1:${adapter.ports[0]}`,
      origin: 'detected',
      version: program.version,
      status: { status: 'installed-only', latency_ms: null, reason: `${program.path} does not run` },
      slots: null,
      models: [],
    });
  }
  return views;
}

export function trialView(trial: Trial): TrialView {
  const { installed, running, baseUrl, pid, model, error } = trial.state();
  return { installed, running, url: baseUrl, pid, model, error };
}
