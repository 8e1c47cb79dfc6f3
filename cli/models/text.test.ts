/** Models as people see them: nothing wider than a terminal, nothing of a model's that could move its cursor. */
import { describe, expect, test } from 'bun:test';
import type { AliasView, CopyView, ModelDetail } from '../../src/models';
import { aliasesText, aliasText, detailText, modelsText, strategiesText, strategyText } from './text';

const copy: CopyView = {
  id: 'qwen2.5-coder:7b-instruct-q4_K_M',
  other_names: ['qwen2.5-coder'],
  uri: 'flm://ollama-default/qwen2.5-coder:7b-instruct-q4_K_M',
  engine: 'ollama-default',
  kind: 'ollama',
  loaded: true,
  context_length: 131_072,
  capabilities: ['chat', 'completions', 'tools', 'vision', 'reasoning'],
  family: 'qwen2',
  parameters: '7.6B',
  quantization: 'Q4_K_M',
  size_bytes: 4_683_087_332,
  routes: ['/v1/chat/completions'],
  standing: {
    available: true,
    degraded: false,
    reason: null,
    slots: 4,
    free_slots: 3,
    latency_ms: 11.6,
    error_rate: 0.125,
    tokens_per_second: 42.24,
  },
};
const unknown: CopyView = {
  ...copy,
  id: 'm',
  uri: 'flm://e/m',
  engine: 'e',
  other_names: [],
  loaded: null,
  context_length: null,
  capabilities: [],
  family: null,
  parameters: null,
  quantization: null,
  size_bytes: null,
  standing: { ...copy.standing, available: false, free_slots: -2, tokens_per_second: null },
};
const alias: AliasView = {
  name: 'fast',
  places: [
    [
      { model: 'flm://e/m', weight: 3, copies: 1 },
      { model: 'gone', weight: 1, copies: 0 },
    ],
    [{ model: 'm', weight: 1, copies: 2 }],
  ],
  strategy: 'manual',
  shadows: false,
  updated_at: '2026-11-23T12:00:00.000Z',
};

const widest = (text: string) => Math.max(...text.split('\n').map((line) => Bun.stringWidth(line)));

describe('models', () => {
  test('fit a terminal of 80 columns', () => {
    const text = modelsText({ items: [copy, unknown], next: null });
    expect(text.split('\n')[0]).toMatch(/^MODEL +ENGINE +PARAMS +QUANT +CTX +LOADED$/);
    expect(widest(text)).toBeLessThanOrEqual(80);
  });

  test('that are none are said to be none', () => {
    expect(modelsText({ items: [], next: null })).toStartWith('No running engine has a model.');
  });
});

describe('what a name means', () => {
  const detail: ModelDetail = { name: 'fast', alias, strategy: 'manual', copies: [copy, unknown] };

  test('is told copy by copy', () => {
    const text = detailText(detail);
    expect(text).toBe(`fast is an alias of flm://e/m=3 | gone, m.

Asked in this order at the moment (manual):

flm://ollama-default/qwen2.5-coder:7b-instruct-q4_K_M
  engine       ollama-default (ollama)
  also called  qwen2.5-coder
  model        qwen2, 7.6B, Q4_K_M, 4.7 GB
  context      131072 tokens
  loaded       yes
  can          chat, completions, tools, vision, reasoning
  state        healthy
  slots        3 of 4 free
  errors       13 % of recent requests
  speed        42 tokens/s; last look answered in 12 ms

flm://e/m
  engine   e (ollama)
  context  -
  loaded   -
  can      -
  state    left alone after failures; healthy
  slots    all 4 taken, 2 waiting
  errors   13 % of recent requests
  speed    not seen yet; last look answered in 12 ms`);
    expect(widest(text)).toBeLessThanOrEqual(80);
  });

  test('says why a copy is degraded, and of slots and speed no more than is known', () => {
    const reason = 'it took 2000 ms to answer';
    const standing = { ...copy.standing, degraded: true, reason, slots: null, free_slots: null };
    const text = detailText({
      ...detail,
      copies: [{ ...copy, standing: { ...standing, tokens_per_second: 4.26 } }],
    });
    expect(text).toContain('  state        degraded: it took 2000 ms to answer\n');
    expect(text).toContain('  slots        not known\n');
    expect(text).toContain('  speed        4.3 tokens/s;');
  });

  test('is nothing where nothing of an alias is there', () => {
    expect(detailText({ ...detail, copies: [] })).toEndWith('\n\nNo running engine has any of it.');
  });

  test('holds no control character of an engine’s', () => {
    const uri = 'flm://e/\u001B[2Jm';
    const text = detailText({ ...detail, copies: [{ ...unknown, uri, engine: 'e\u0007' }] });
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });
});

describe('aliases and strategies', () => {
  test('say what their owner may not have meant', () => {
    expect(aliasText({ ...alias, shadows: true })).toBe(
      [
        'fast stands for flm://e/m=3 | gone, m.',
        'It hides the model of that name, which clients now reach as flm://<engine>/fast alone.',
        'No running engine has gone now; it is passed over until one has.',
      ].join('\n'),
    );
    const own = { ...alias, shadows: true, places: [[{ model: 'fast', weight: 1, copies: 1 }]] };
    expect(aliasText(own)).toBe('fast stands for fast.');
    expect(aliasText({ ...own, strategy: 'highest-score' })).toBe(
      'fast stands for fast.\nAmong them highest-score chooses. Back to their order: flm models strategy unset fast',
    );
    const view = { name: 'm', strategy: 'manual', set: true } as const;
    expect(strategyText({ ...view, copies: 2 })).toBe('m: manual.');
    expect(strategyText({ ...view, copies: 0 })).toEndWith('now none has.');
  });

  test('are listed', () => {
    expect(aliasesText([alias])).toMatch(
      /^ALIAS +STANDS FOR +STRATEGY\nfast {3}flm:\/\/e\/m=3 \| gone, m {2}manual$/,
    );
    expect(aliasesText([])).toStartWith('There is no alias yet.');
    expect(strategiesText([{ name: 'm', strategy: 'manual', set: true, copies: 2 }])).toContain(
      'm     manual    2',
    );
    expect(strategiesText([])).toStartWith('No strategy is set');
  });
});
