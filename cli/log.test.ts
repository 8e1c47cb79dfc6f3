import { expect, test } from 'bun:test';
import { createLog } from '../src/lib/log';
import { logText } from './log';

const clock = { nowMs: () => 0, monotonicMs: () => 0 };

test('words for a person: what happened, and about what, without the trace and without secrets', () => {
  const lines: string[] = [];
  const log = createLog(
    () => 'info',
    clock,
    (line) => lines.push(line),
    logText,
  );
  log.warn('FLM listens beyond this machine, without TLS', { bind: '0.0.0.0', exposure: 'private' });
  log.error('a subscriber failed', { event: 'x', error: new Error('no \u001B[31mred') });
  log.info('settings changed', { keys: ['proxy.port'], key: `flm_${'a'.repeat(46)}` });
  expect(lines.slice(0, 2)).toEqual([
    'Warning: FLM listens beyond this machine, without TLS (bind 0.0.0.0, exposure private)\n',
    'Error: a subscriber failed (event x, error no \uFFFD[31mred)\n',
  ]);
  expect(lines[2]).toStartWith('settings changed (keys ["proxy.port"], key ');
  expect(lines[2]).toEndWith('[redacted])\n');
});
