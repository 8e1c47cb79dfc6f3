/** How engines are shown to their owner. */
import type { Capability, EngineState } from '../contract';
import type { Env } from '../lib/paths';
import type { BreakerState } from './breaker';
import type { EngineCapabilities, EngineView, TrialView } from './model';
import { ADAPTERS, RECOGNITION } from './registry';
import type { Trial } from './trial';

export function viewOf(state: EngineState, breaker: BreakerState): EngineView {
  return {
    id: state.ref.id,
    kind: state.ref.kind,
    name: ADAPTERS[state.ref.kind].title,
    url: state.ref.baseUrl,
    origin: state.ref.origin,
    version: state.version,
    status: {
      status: state.status,
      latency_ms: state.latencyMs,
      reason: state.reason,
      consecutive_failures: state.consecutiveFailures,
    },
    breaker,
    capabilities: capabilitiesOf(state),
    slots: state.slots,
    models: state.models.map((model) => model.id),
  };
}

/** What an engine can do for anybody: its routes, and what at least one of its models takes (FLM-045, FLM-048). */
function capabilitiesOf({ routes, models }: EngineState): EngineCapabilities {
  const any = (capability: Capability) => models.some((model) => model.capabilities.includes(capability));
  const chat = routes.includes('/v1/chat/completions');
  return {
    chat,
    chat_stream: chat,
    embeddings: any('embeddings'),
    rerank: any('rerank'),
    tools: any('tools'),
    reasoning: any('reasoning'),
    vision_inputs: any('vision'),
    audio_inputs: any('audio'),
    routes: [...routes],
  };
}

const NOTHING: EngineCapabilities = {
  chat: false,
  chat_stream: false,
  embeddings: false,
  rerank: false,
  tools: false,
  reasoning: false,
  vision_inputs: false,
  audio_inputs: false,
  routes: [],
};

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
      status: {
        status: 'installed-only',
        latency_ms: null,
        reason: `${program.path} does not run`,
        consecutive_failures: 0,
      },
      breaker: 'closed',
      capabilities: NOTHING,
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
