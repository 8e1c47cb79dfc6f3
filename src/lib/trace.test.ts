import { describe, expect, test } from 'bun:test';
import { formatTraceparent, newSpanId, newTraceId, parseTraceparent } from './trace';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traceparent', () => {
  test.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    [`00-${TRACE}-${SPAN}-ff`, true],
    [`cc-${TRACE}-${SPAN}-01-what-a-later-version-adds`, true],
  ])('%s is read', (header, sampled) => {
    expect(parseTraceparent(header)).toEqual({ traceId: TRACE, parentId: SPAN, sampled });
  });

  test.each([
    null,
    '',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
    ` 00-${TRACE}-${SPAN}-01`,
  ])('%p says nothing', (header) => {
    expect(parseTraceparent(header)).toBeNull();
  });

  test('what is written can be read', () => {
    const [traceId, spanId] = [newTraceId(), newSpanId()];
    for (const sampled of [true, false])
      expect(parseTraceparent(formatTraceparent(traceId, spanId, sampled))).toEqual({
        traceId,
        parentId: spanId,
        sampled,
      });
  });
});
