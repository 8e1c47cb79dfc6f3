/** The log: one line of JSON each, redacted, and no way to write two lines or to throw. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { manualClock } from './clock';
import { FlmError } from './errors';
import { createLog, type LogLevel, silentLog } from './log';

function logInto(lines: string[], level: () => LogLevel = () => 'debug') {
  return createLog(level, manualClock(Date.UTC(2026, 10, 23)), (line) => lines.push(line));
}

describe('a line', () => {
  test('holds time, level, message and fields, and ends with a line feed', () => {
    const lines: string[] = [];
    logInto(lines).info('FLM listens', { port: 8080 });
    expect(lines).toEqual([
      '{"time":"2026-11-23T00:00:00.000Z","level":"info","message":"FLM listens","port":8080}\n',
    ]);
  });

  test('is one line whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.anything({ withBigInt: true }), (message, value) => {
        const lines: string[] = [];
        logInto(lines).warn(message, { value });
        expect(lines).toHaveLength(1);
        expect(lines[0]?.indexOf('\n')).toBe((lines[0]?.length ?? 0) - 1);
        expect(() => JSON.parse(lines[0] ?? '')).not.toThrow();
      }),
      { numRuns: 500 },
    );
  });

  test('tells an error with its code and its causes, and no secret in any of them', () => {
    const lines: string[] = [];
    const cause = Object.assign(new Error('Bearer abcdef was refused'), { code: 'ECONNREFUSED' });
    logInto(lines).error('failed', { error: new FlmError('INTERNAL_ERROR', { cause }), token: 't0ps3cret' });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      error: {
        name: 'FlmError',
        code: 'INTERNAL_ERROR',
        message: 'FLM failed inside. This is a bug.',
        cause: { code: 'ECONNREFUSED', message: 'Bearer [redacted] was refused' },
      },
      token: '[redacted]',
    });
    expect(lines[0]).not.toMatch(/abcdef|t0ps3cret/);
  });

  test('is written also for an error that causes itself', () => {
    const lines: string[] = [];
    const [a, b] = [new Error('a'), new Error('b')];
    a.cause = b;
    b.cause = a;
    logInto(lines).error('failed', { error: a });
    expect(lines).toHaveLength(1);
  });
});

describe('the level', () => {
  test.each<[LogLevel, string[]]>([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ])('%s lets %p through', (level, written) => {
    const lines: string[] = [];
    const log = logInto(lines, () => level);
    for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]('x');
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(written);
  });

  test('is asked anew for each line, so that a change counts at once', () => {
    const lines: string[] = [];
    let level: LogLevel = 'error';
    const log = logInto(lines, () => level);
    log.info('before');
    level = 'info';
    log.info('after');
    expect(lines.map((line) => JSON.parse(line).message)).toEqual(['after']);
  });

  test('silentLog says nothing and minds nothing', () => {
    for (const level of ['debug', 'info', 'warn', 'error'] as const)
      expect(() => silentLog[level]('x', { x: 1n })).not.toThrow();
  });
});
