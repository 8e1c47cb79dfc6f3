import { describe, expect, test } from 'bun:test';
import type { EngineView } from '../../src/engines';
import { enginesText } from './text';

const CAPABILITIES = {
  chat: true,
  chat_stream: true,
  embeddings: false,
  rerank: false,
  tools: false,
  reasoning: false,
  vision_inputs: false,
  audio_inputs: false,
  routes: [],
};

function engine(over: Partial<EngineView>): EngineView {
  return {
    id: 'llamacpp-default',
    kind: 'llamacpp',
    name: 'llama.cpp',
    url: 'http://127.0.0.1:8080',
    origin: 'detected',
    version: 'b6123',
    status: { status: 'running-healthy', latency_ms: 1, reason: null, consecutive_failures: 0 },
    breaker: 'closed',
    capabilities: CAPABILITIES,
    slots: 4,
    models: ['a'],
    ...over,
  };
}

const show = (...items: EngineView[]) => enginesText({ items, next: null });

describe('engines as a table', () => {
  test('fit into 80 columns, also one that is gone, whose reason stands below', () => {
    const reason = 'http://127.0.0.1:11434 cannot be reached: nothing listens there';
    const text = show(
      engine({}),
      engine({
        id: 'vllm-default',
        name: 'vLLM',
        version: '0.11.0',
        slots: null,
        url: 'http://gpu-box:8000',
      }),
      engine({
        id: 'ollama-default',
        name: 'Ollama',
        version: '0.13.0',
        status: { status: 'error-network', latency_ms: null, reason, consecutive_failures: 3 },
        url: 'http://127.0.0.1:11434',
      }),
    );
    expect(text).toBe(
      [
        'ENGINE            WHAT             STATUS         SLOTS  MODELS  URL',
        'llamacpp-default  llama.cpp b6123  healthy        4      1       127.0.0.1:8080',
        'vllm-default      vLLM 0.11.0      healthy        -      1       gpu-box:8000',
        'ollama-default    Ollama 0.13.0    error-network  4      1       127.0.0.1:11434',
        `  ${reason}`,
      ].join('\n'),
    );
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('keep what is not plain about an address', () => {
    expect(show(engine({ url: 'https://gpu.example/llm' }))).toContain('https://gpu.example/llm');
  });

  test('none: how to get one, or that one waits already', () => {
    expect(show()).toContain('or try one: flm engines try');
    expect(enginesText({ items: [], next: null }, 'One waits.')).toBe('No engine runs.\nOne waits.');
  });
});
