import { describe, expect, test } from 'bun:test';
import { columns, printable, table, terminalText } from './table';

describe('a table', () => {
  test('lines its columns up and leaves no blanks at the ends of lines', () => {
    expect(
      table(
        ['ID', 'LABEL', 'ENDS'],
        [
          ['1', 'a long label', 'never'],
          ['22', 'b', ''],
        ],
        'none',
      ),
    ).toBe('ID  LABEL         ENDS\n1   a long label  never\n22  b');
  });

  test('counts what a terminal shows: wide characters take two columns, combined ones none', () => {
    const [, ...rows] = table(
      ['NAME', 'X'],
      [
        ['日本', 'x'],
        ['e\u0301a', 'x'],
        ['👩‍🚀', 'x'],
      ],
      '',
    ).split('\n');
    expect(rows).toEqual(['日本  x', 'e\u0301a    x', '👩‍🚀    x']);
  });

  test('shows the sentence instead of an empty table', () => {
    expect(table(['ID'], [], 'There is nothing yet.')).toBe('There is nothing yet.');
  });

  test('takes rows that are shorter than the header', () => {
    expect(table(['A', 'B'], [['1']], '')).toBe('A  B\n1');
  });

  test('lets no control character of an engine or a label through', () => {
    const evil = 'a\u001B[31mred\u001B]0;title\u0007\nb\r\u009B2J';
    const text = table(['NAME'], [[evil]], '');
    expect(text.split('\n')).toHaveLength(2);
    expect(text.replace('\n', '')).not.toMatch(/\p{Cc}/u);
  });
});

test('what is too wide for a row stands below it', () => {
  const rows = [{ cells: ['a', 'gone'], below: 'nothing\nlistens there' }, ['b', 'healthy']];
  expect(table(['ID', 'STATUS'], rows, '')).toBe(
    'ID  STATUS\na   gone\n  nothing\uFFFDlistens there\nb   healthy',
  );
});

test('text of several lines keeps them and its tabs, and nothing that a terminal obeys', () => {
  expect(terminalText('a\r\n\tb\n')).toBe('a\n\tb\n');
  expect(terminalText('\u001B]0;title\u0007\u009B2Jx\ry\u007F')).toBe(
    '\uFFFD]0;title\uFFFD\uFFFD2Jx\uFFFDy\uFFFD',
  );
  expect(terminalText('Grüße 日本 👩‍🚀')).toBe('Grüße 日本 👩‍🚀');
});

test('no control that turns the direction of text reaches the terminal', () => {
  const controls = [...'\u061C\u200E\u200F\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069'];
  for (const control of controls) {
    const text = `m${control}fdp.exe`;
    expect([control, printable(text), terminalText(text)]).toEqual([
      control,
      'm\uFFFDfdp.exe',
      'm\uFFFDfdp.exe',
    ]);
    expect(table(['ID'], [[text]], '')).not.toContain(control);
    expect(columns([['ID', text]])).not.toContain(control);
  }
  // What joins emoji and letters is none of them.
  for (const plain of ['👩‍🚀', 'نمونه‌ها', 'שלום']) expect(printable(plain)).toBe(plain);
});

describe('two columns', () => {
  test('are indented, the left as wide as its longest entry', () => {
    expect(
      columns([
        ['API', 'http://localhost'],
        ['Engines', ''],
      ]),
    ).toBe('  API      http://localhost\n  Engines');
  });

  test('may be none at all', () => {
    expect(columns([])).toBe('');
  });

  test('let no control character through', () => {
    expect(columns([['a\u001B[0m', 'b\nc']])).toBe('  a\uFFFD[0m  b\uFFFDc');
  });
});
