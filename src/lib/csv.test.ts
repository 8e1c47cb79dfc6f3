import { describe, expect, test } from 'bun:test';
import { csvCell, csvRow } from './csv';

describe('csvCell', () => {
  test.each([
    ['plain', 'plain'],
    ['', ''],
    [null, ''],
    [5, '5'],
    [true, 'true'],
    ['a,b', '"a,b"'],
    ['say "hi"', '"say ""hi"""'],
    ['two\nlines', '"two\nlines"'],
    [' edge', '" edge"'],
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['  =cmd', `"'  =cmd"`.replace(`"'`, `'`).replace('"', '')],
    ['\t=1', "'\t=1"],
    ['\r=1', '"\'\r=1"'],
    ['=1,"x"', '"\'=1,""x"""'],
    ['＝1', "'＝1"],
    ['＋1', "'＋1"],
    ['－1', "'－1"],
    ['＠1', "'＠1"],
    ['\n=1', '"\'\n=1"'],
    ['\u3000=1', "'\u3000=1"],
    [-5, '-5'],
    ['a=1', 'a=1'],
  ] as const)('%p is %p', (value, cell) => {
    expect(csvCell(value)).toBe(cell);
  });
});

test('a row ends with CRLF', () => {
  expect(csvRow(['a', null, 1, false, '=x'])).toBe("a,,1,false,'=x\r\n");
});
