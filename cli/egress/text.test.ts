import { expect, test } from 'bun:test';
import type { Trial } from '../../src/engines';
import type { Cli } from '../cli';
import { installTrial } from '../engines/try';
import { egressInput, egressSettings } from './flags';
import { egressLine, testText } from './text';

const STATUS = {
  mode: 'tor',
  endpoint: 'tor://127.0.0.1:9050',
  reason: null,
  since: null,
  fail_open: false,
  private_addresses: 'tunnel',
  has_login: false,
} as const;

test('one line tells whether anything leaves, and how', () => {
  expect(egressLine({ ...STATUS, state: 'up' })).toBe('through tor://127.0.0.1:9050, which is up');
  const reason = 'nothing listens there';
  expect(egressLine({ ...STATUS, state: 'down', reason })).toBe(
    'nothing leaves: tor://127.0.0.1:9050 is down (nothing listens there)',
  );
  expect(egressLine({ ...STATUS, state: 'bypassed', reason })).toStartWith('STRAIGHT OUT');
});

test('a try is told with the way, who looked the name up, and why not', () => {
  const text = testText({
    ok: false,
    tunnel: { endpoint: 'tor://127.0.0.1:9050', reached: true, latency_ms: 3, error: null },
    targets: [
      {
        name: 'far',
        url: 'http://far.example',
        route: 'tunnel',
        dns: 'tunnel',
        reached: false,
        status: null,
        latency_ms: null,
        error: 'the tunnel cannot reach it',
      },
    ],
  });
  expect(text).toContain('The tunnel tor://127.0.0.1:9050 answers after 3 ms.');
  expect(text).toMatch(/far\s+through the tunnel\s+at the other end\s+no\s+the tunnel cannot reach it/);
});

test('FLM-017: the options of a start, checked before anything is done', () => {
  expect(egressSettings({})).toEqual({});
  expect(
    egressInput({ 'egress-mode': 'socks5', 'socks5-endpoint': '[::1]:1080', 'egress-fail-open': true }),
  ).toEqual({
    egress_mode: 'socks5',
    socks5_endpoint: '[::1]:1080',
    egress_fail_open: true,
  });
  for (const wrong of [
    { 'egress-mode': 'vpn' },
    { 'socks5-endpoint': 'localhost' },
    { 'socks5-endpoint': '127.0.0.1:0' },
    { 'egress-mode': 'direct', 'egress-fail-open': true },
  ])
    expect(() => egressInput(wrong)).toThrow();
});

test('the trial engine is not downloaded past a tunnel', async () => {
  const nothing = { state: () => ({ installed: false }), install: () => Promise.reject(new Error('it was')) };
  // The two functions it calls.
  const trial = nothing as unknown as Trial;
  await expect(installTrial({} as Cli, trial, 'tor')).rejects.toMatchObject({ code: 'TRIAL_UNAVAILABLE' });
  await expect(installTrial({} as Cli, trial, 'direct')).rejects.toThrow('it was');
});
