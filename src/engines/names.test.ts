/** What names say: whole words, and never more than the name does (FLM-049). */
import { expect, test } from 'bun:test';
import type { Capability } from '../contract';
import { capabilitiesIn } from './names';

test.each<[string, Capability[]]>([
  ['llama3.2:latest', ['chat', 'completions']],
  ['capybara-34b', ['chat', 'completions']],
  ['nomic-embed-text', ['embeddings']],
  ['text-embedding-3-small', ['embeddings']],
  ['BAAI/bge-m3', ['embeddings']],
  ['bge-reranker-v2-m3', ['rerank']],
  ['Qwen2.5-VL-7B', ['chat', 'completions', 'vision']],
  ['llava:13b', ['chat', 'completions', 'vision']],
  ['whisper-large-v3', ['chat', 'completions', 'audio']],
  ['deepseek-r1:7b', ['chat', 'completions', 'reasoning']],
  ['functionary-small', ['chat', 'completions', 'tools']],
  ['toolbox', ['chat', 'completions']],
])('%s', (name, expected) => {
  expect([...capabilitiesIn(name)].sort()).toEqual(expected.sort());
});
