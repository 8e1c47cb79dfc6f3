/** Every kind of engine FLM knows. A kind without an adapter does not compile. */
import type { EngineKind } from '../contract';
import type { EngineAdapter } from './adapter';
import { llamacpp } from './llamacpp';
import { lmstudio } from './lmstudio';
import { ollama } from './ollama';
import { openai } from './openai';
import { vllm } from './vllm';

export const ADAPTERS = { ollama, vllm, lmstudio, llamacpp, openai } as const satisfies Record<
  EngineKind,
  EngineAdapter
>;

export function adapterOf(kind: EngineKind): EngineAdapter {
  return ADAPTERS[kind];
}

/** The order of recognition: the particular before the general. */
export const RECOGNITION: readonly EngineAdapter[] = [llamacpp, ollama, vllm, lmstudio, openai];

export const ENGINE_KINDS = Object.keys(ADAPTERS) as readonly EngineKind[];

/** Other spellings people use (FLM-014). */
const SPELLINGS: Readonly<Record<string, EngineKind>> = {
  'llama-cpp': 'llamacpp',
  'llama.cpp': 'llamacpp',
  'lm-studio': 'lmstudio',
};

/** The kind called `name`, or null. */
export function findKind(name: string): EngineKind | null {
  const kind = SPELLINGS[name.toLowerCase()] ?? name.toLowerCase();
  return ENGINE_KINDS.find((known) => known === kind) ?? null;
}
