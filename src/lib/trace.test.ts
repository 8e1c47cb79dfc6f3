import { describe, expect, test } from 'bun:test';
import { newId } from './ids';
import { formatTraceparent, newSpanId, newTraceparent, parseTraceparent, traceIdOf } from './trace';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('parseTraceparent (HL-003)', () => {
  test.each([
    [`00-${TRACE}-${SPAN}-00`, false, false],
    [`00-${TRACE}-${SPAN}-01`, true, false],
    [`00-${TRACE}-${SPAN}-03`, true, true],
    // Flags that have no meaning yet are not looked at.
    [`00-${TRACE}-${SPAN}-fd`, true, false],
    // A later version is read as far as this one goes.
    [`01-${TRACE}-${SPAN}-01`, true, false],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, true, false],
  ])('reads %p', (header, isSampled, isRandom) => {
    expect(parseTraceparent(header)).toEqual({ traceId: TRACE, spanId: SPAN, isSampled, isRandom });
  });

  test.each([
    null,
    '',
    'hello',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-01.`,
    `cc-${TRACE}-${SPAN}-01.what`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}`,
    `0-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    ` 00-${TRACE}-${SPAN}-01`,
    // Two headers, as the runtime joins them.
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  ])('takes %p for none', (header) => {
    expect(parseTraceparent(header)).toBeNull();
  });
});

test('what is written is what was read', () => {
  const header = `00-${TRACE}-${SPAN}-01`;
  const context = parseTraceparent(header);
  expect(context === null ? null : formatTraceparent(context)).toBe(header);
});

test('the trace of a request is found by its id', () => {
  const id = newId();
  const made = newTraceparent(id);
  expect(made).toMatchObject({ traceId: traceIdOf(id), isSampled: false });
  expect(parseTraceparent(formatTraceparent(made))).toEqual(made);
});

test('each step of a request has an id of its own', () => {
  const ids = Array.from({ length: 1_000 }, newSpanId);
  expect(new Set(ids).size).toBe(1_000);
  expect(ids.every((id) => /^[89ab][0-9a-f]{15}$/.test(id))).toBe(true);
});
