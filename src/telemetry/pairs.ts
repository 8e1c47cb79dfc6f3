/**
 * The numbers of each model on each engine. Labels come from the catalogue and never from a client, and there is a limit
 * to how many series they make: whoever watches pays for each.
 */
import type { LeaseOutcome } from '../contract';
import type { Counter, Histogram, Registry } from './registry';

/** All series of one model on one engine, at hand for the next request. */
export interface Pair {
  readonly duration: Histogram;
  readonly firstByte: Histogram;
  readonly firstToken: Histogram;
  readonly queueWait: Histogram;
  readonly tokensIn: Counter;
  readonly tokensOut: Counter;
  readonly tokensCached: Counter;
  readonly tokensReasoning: Counter;
  readonly attempts: Readonly<Record<LeaseOutcome, Counter>>;
}

export interface Pairs {
  /** The numbers of a model (the engine's own name for it) on an engine. */
  of(engineId: string, model: string): Pair;
}

export interface PairsOptions {
  readonly registry: Registry;
  /** Whether the catalogue has the model on that engine. */
  readonly isKnown: (engineId: string, model: string) => boolean;
}

/** Pairs that have series of their own. Those that come later share one for each engine. */
const MAX_PAIRS = 200;
/** As many engines have series; a registry that holds more is no longer one machine's. */
const MAX_ENGINES = 100;
export const OTHER = 'other';
export const UNKNOWN = 'unknown';

/** Seconds: from what a small model on a GPU takes to what a large one on a CPU does. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const LABELS = ['engine', 'model'];

export function createPairs({ registry, isKnown }: PairsOptions): Pairs & {
  /** Forgets an engine that is gone. */
  forget(engineId: string): void;
} {
  const seconds = (name: string, help: string) => registry.histograms(name, help, LABELS, SECONDS);
  const count = (name: string, help: string) => registry.counters(name, help, LABELS);
  const duration = seconds('flm_request_duration_seconds', 'Requests from their arrival to the last byte.');
  const firstByte = seconds(
    'flm_time_to_first_byte_seconds',
    'Requests from their arrival to the first byte of the answer.',
  );
  const firstToken = seconds(
    'flm_first_token_seconds',
    'Streams from their leaving for the engine to the first words.',
  );
  const queueWait = seconds('flm_queue_wait_seconds', 'Time that requests waited for a slot of the engine.');
  const tokensIn = count('flm_tokens_input_total', 'Tokens of prompts, as the engine counted them.');
  const tokensOut = count('flm_tokens_output_total', 'Tokens of answers, as the engine counted them.');
  const tokensCached = count('flm_tokens_cached_total', 'Tokens of prompts that the engine had in a cache.');
  const tokensReasoning = count('flm_tokens_reasoning_total', 'Tokens of answers that were thinking.');
  const attempts = registry.counters(
    'flm_engine_attempts_total',
    'Times that an engine was asked. outcome: done, failed (by the engine), aborted (by the client or FLM).',
    [...LABELS, 'outcome'],
  );
  const removables = [
    ...[duration, firstByte, firstToken, queueWait],
    ...[tokensIn, tokensOut, tokensCached, tokensReasoning, attempts],
  ];

  const engines = new Map<string, Map<string, Pair>>();
  let size = 0;

  function make(engineId: string, model: string): Pair {
    const attempt = (outcome: LeaseOutcome) => attempts.of(engineId, model, outcome);
    return {
      duration: duration.of(engineId, model),
      firstByte: firstByte.of(engineId, model),
      firstToken: firstToken.of(engineId, model),
      queueWait: queueWait.of(engineId, model),
      tokensIn: tokensIn.of(engineId, model),
      tokensOut: tokensOut.of(engineId, model),
      tokensCached: tokensCached.of(engineId, model),
      tokensReasoning: tokensReasoning.of(engineId, model),
      attempts: { done: attempt('done'), failed: attempt('failed'), aborted: attempt('aborted') },
    };
  }

  function modelsOf(engineId: string): { readonly id: string; readonly models: Map<string, Pair> } {
    const known = engines.get(engineId);
    if (known !== undefined) return { id: engineId, models: known };
    if (engines.size >= MAX_ENGINES && engineId !== OTHER) return modelsOf(OTHER);
    const models = new Map<string, Pair>();
    engines.set(engineId, models);
    return { id: engineId, models };
  }

  function findOrMake(engineId: string, asked: string): Pair {
    const { id, models } = modelsOf(engineId);
    const isNamed = isKnown(engineId, asked);
    const model = !isNamed ? UNKNOWN : id === OTHER || size >= MAX_PAIRS ? OTHER : asked;
    let pair = models.get(model);
    if (pair === undefined) {
      pair = make(id, model);
      models.set(model, pair);
      if (model === asked) size++;
    }
    return pair;
  }

  return {
    of: (engineId, model) => engines.get(engineId)?.get(model) ?? findOrMake(engineId, model),
    forget(engineId) {
      const models = engines.get(engineId);
      if (models === undefined) return;
      engines.delete(engineId);
      size -= [...models.keys()].filter((model) => model !== OTHER && model !== UNKNOWN).length;
      for (const family of removables) family.removeWhere(([engine]) => engine === engineId);
    },
  };
}
