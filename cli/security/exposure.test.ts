import { describe, expect, test } from 'bun:test';
import type { ExposureReport } from '../../src/listeners';
import { exposureText } from './exposure';

const NOTHING: ExposureReport = { status: 'ok', listeners: [], engines: [], addresses: [] };

describe('what can be reached, in words', () => {
  test('nothing', () => {
    expect(exposureText(NOTHING)).toBe(
      'FLM listens nowhere.\n\nNothing is open that should not be, at no address.',
    );
  });

  test.each([
    ['warning', '  ! It has no TLS.', 'What is marked with !'],
    ['open', '  ✗ It has no TLS.', 'What is marked with ✗'],
  ] as const)('a listener with the verdict %s is marked as the summary says', (verdict, line, summary) => {
    const listener: ExposureReport['listeners'][number] = {
      id: 'proxy-8080',
      address: '203.0.113.1:8080',
      running: true,
      reach: 'internet',
      urls: [],
      tls: false,
      verdict,
      advice: 'It has no TLS.',
    };
    const lines = exposureText({ ...NOTHING, status: verdict, listeners: [listener] }).split('\n');
    expect(lines).toContain(line);
    expect(lines.at(-1)).toContain(summary);
  });

  test('an engine that is open, one that is not, and a listener', () => {
    const text = exposureText({
      status: 'open',
      addresses: ['192.168.1.20'],
      listeners: [
        {
          id: 'proxy-8080',
          address: '0.0.0.0:8080',
          running: true,
          reach: 'this-network',
          urls: [],
          tls: false,
          verdict: 'ok',
          advice: 'It should be yours.',
        },
        {
          id: 'proxy-8080',
          address: 'abc.onion',
          running: true,
          reach: 'tor',
          urls: [],
          tls: false,
          verdict: 'ok',
          advice: null,
        },
      ],
      engines: [
        {
          engine: 'ollama-default',
          kind: 'ollama',
          port: 11434,
          open_at: [{ address: '192.168.1.20', reach: 'this-network', answers: 'without-key' }],
          verdict: 'open',
          advice: 'Set OLLAMA_HOST=127.0.0.1 for it.',
        },
        { engine: 'vllm', kind: 'vllm', port: 8000, open_at: [], verdict: 'ok', advice: null },
      ],
    });
    expect(text).toBe(
      [
        'LISTENER    ADDRESS       REACHED FROM             TLS',
        'proxy-8080  0.0.0.0:8080  this network             no',
        '  It should be yours.',
        'proxy-8080  abc.onion     everywhere, through Tor  by Tor',
        '',
        '✗ ollama-default answers at 192.168.1.20 port 11434 without FLM in front, to everybody (this network).',
        '  Set OLLAMA_HOST=127.0.0.1 for it.',
        '✓ vllm (port 8000) answers on this machine only.',
        '',
        'What is marked with ✗ is open and should not be.',
      ].join('\n'),
    );
  });
});
