/**
 * What a model's name says about it, for engines that tell nothing better (FLM-049). Whole words only: "api" in
 * "capybara" means nothing.
 */
import type { Capability } from '../contract';

const HINTS: readonly (readonly [Capability, RegExp])[] = [
  ['embeddings', words('embed(?:ding|dings|der)?', 'e5', 'bge', 'gte', 'minilm')],
  ['rerank', words('rerank(?:er|ing)?', 'cross-encoder')],
  ['vision', words('vision', 'vl', 'llava', 'clip', 'blip', 'multimodal', 'pixtral', 'moondream')],
  ['audio', words('whisper', 'audio', 'asr', 'transcription', 'voxtral')],
  ['reasoning', words('reasoning', 'reasoner', 'deepseek-r\\d+', 'r1', 'cot', 'qwq', 'gpt-oss', 'thinking')],
  ['tools', words('tool', 'tools', 'function', 'functionary', 'agent')],
];

/** Capabilities that the name hints at. What only embeds or ranks does not chat. */
export function capabilitiesIn(name: string): readonly Capability[] {
  const hinted = HINTS.filter(([, pattern]) => pattern.test(name)).map(([capability]) => capability);
  if (hinted.includes('rerank')) return hinted.filter((capability) => capability !== 'embeddings');
  return hinted.includes('embeddings') ? hinted : ['chat', 'completions', ...hinted];
}

function words(...alternatives: string[]): RegExp {
  return new RegExp(`(?:^|[^a-z0-9])(?:${alternatives.join('|')})(?![a-z0-9])`, 'i');
}
