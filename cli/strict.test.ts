import { describe, expect, test } from 'bun:test';
import { systemClock } from '../src/lib/clock';
import { FlmError } from '../src/lib/errors';
import { everyCommand } from '../test/support/commands';
import type { Cli } from './cli';
import { command, type FlmCommand } from './command';
import { PROGRAM } from './commands';
import { isGroupTarget } from './help';
import { OTHER_WORDS } from './other-words';
import { asksForHelp, checkArgs, checkNoArgs, findCommand, runStrict } from './strict';

const sample = command({
  about: 'A command with one argument of each kind.',
  args: {
    first: { type: 'positional', required: true, description: 'A word.' },
    second: { type: 'positional', required: false, description: 'Another.' },
    label: { type: 'string', required: true, description: 'A text that has to be given.' },
    model: { type: 'string', alias: 'm', description: 'A text.' },
    'max-tokens': { type: 'string', description: 'A number.' },
    stream: { type: 'boolean', description: 'A switch.' },
    colour: { type: 'enum', options: ['red', 'green'], description: 'A word of few.' },
  },
  repeatable: ['model'],
  examples: ['flm sample word --label text'],
  async run() {},
});

const talker = command({
  about: 'A command that takes the rest.',
  args: { prompt: { type: 'positional', required: false, description: 'Words.' } },
  takesRest: true,
  examples: ['flm talker hello there'],
  async run() {},
});

/** Code, message and hint of what `run` throws. */
function failure(run: () => unknown): Pick<FlmError, 'code' | 'message' | 'hint'> {
  try {
    run();
  } catch (error) {
    if (!(error instanceof FlmError)) throw error;
    return { code: error.code, message: error.message, hint: error.hint };
  }
  throw new Error('nothing was thrown');
}

describe('finding a command', () => {
  test.each([
    [['up'], 'up', []],
    [['api-keys', 'create', '--label', 'x'], 'api-keys create', ['--label', 'x']],
    [['config', 'set', 'proxy.port', '9000'], 'config set', ['proxy.port', '9000']],
    [['engines'], 'engines', []],
    [['engines', '--help'], 'engines', ['--help']],
    [['--help'], '', ['--help']],
    [[], '', []],
    [['--json', 'status'], 'status', ['--json']],
    [
      ['--format', 'text', 'models', '--json', 'list', '--help'],
      'models list',
      ['--format', 'text', '--json', '--help'],
    ],
    [['--format=json', 'config', 'get', 'x'], 'config get', ['--format=json', 'x']],
    [['-h', 'up'], 'up', ['-h']],
  ])('%j', async (words, path, rawArgs) => {
    const found = await findCommand(PROGRAM, words);
    expect(found.path.join(' ')).toBe(path);
    expect(found.rawArgs).toEqual(rawArgs);
  });

  test.each([
    [['stauts'], '"flm" has no command "stauts".', 'Did you mean "flm status"?'],
    [['engines', 'lst'], '"flm engines" has no command "lst".', 'Did you mean "flm engines list"?'],
    [
      ['api-keys', 'frobnicate'],
      '"flm api-keys" has no command "frobnicate".',
      '"flm api-keys --help" lists',
    ],
    [['constructor'], '"flm" has no command "constructor".', 'lists the commands'],
    [['toString'], '"flm" has no command "toString".', 'lists the commands'],
    [[''], '"flm" has no command "".', 'lists the commands'],
    [['engines', 'rm', 'x'], '"flm engines" has no command "rm".', 'Did you mean "flm engines remove"?'],
    [
      ['api-keys', 'delete'],
      '"flm api-keys" has no command "delete".',
      'Did you mean "flm api-keys revoke"?',
    ],
    [['config', 'reset'], '"flm config" has no command "reset".', 'Did you mean "flm config unset"?'],
    [['serve'], '"flm" has no command "serve".', 'Did you mean "flm up"?'],
    [['keys'], '"flm" has no command "keys".', 'Did you mean "flm api-keys"?'],
    [['stop'], '"flm" has no command "stop".', 'Press Ctrl-C where "flm up" runs'],
    [['conf'], '"flm" has no command "conf".', 'Did you mean "flm config"?'],
    [['models', 'rm'], '"flm models" has no command "rm".', 'lists the commands'],
    [['engines', 'constructor'], '"flm engines" has no command "constructor".', 'lists the commands'],
  ])('refuses %j', async (words, message, hint) => {
    const error: unknown = await findCommand(PROGRAM, words).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FlmError);
    if (!(error instanceof FlmError)) return;
    expect(error.code).toBe('USAGE_ERROR');
    expect(error.exit).toBe(1);
    expect(error.message).toBe(message);
    expect(error.hint).toContain(hint);
  });

  test.each([
    [['--foo'], 'There is no option --foo here.', 'Add --help for the usage.'],
    [['--hepl'], 'There is no option --hepl here.', 'Did you mean --help?'],
    [['--json'], 'The command is missing.', '"flm --help" lists the commands.'],
    [['models', '--format=json'], 'The command is missing.', '"flm models --help" lists'],
  ])('a group takes no options of its own: %j', async (words, message, hint) => {
    const found = await findCommand(PROGRAM, words);
    const error = failure(() => checkNoArgs(found));
    expect(error).toMatchObject({ code: 'USAGE_ERROR', message });
    expect(error.hint).toContain(hint);
  });
});

describe('what is refused', () => {
  const word = ['word', '--label', 'x'];
  test.each([
    ['an unknown option', [...word, '--frobnicate'], 'There is no option --frobnicate here.', '--help'],
    ['a mistyped option', [...word, '--strem'], 'There is no option --strem here.', 'Did you mean --stream?'],
    ['a mistyped option with a value', [...word, '--modle=a'], 'There is no option --modle', '--model?'],
    ['an unknown letter', [...word, '-x'], 'There is no option -x here.', '--help'],
    ['a switch turned off', [...word, '--no-stream'], 'There is no option --no-stream here.', '--stream?'],
    ['an option without its value', ['word', '--label'], '--label needs a value.', '--help'],
    ['an option followed by another', ['word', '--label', '--stream'], '--label needs a value.', '--help'],
    ['a letter without its value', [...word, '-m'], '--model needs a value.', '--help'],
    ['a switch with a value', [...word, '--stream=yes'], '--stream takes no value.', '--help'],
    ['a global switch with a value', [...word, '--json=1'], '--json takes no value.', '--help'],
    ['a required option left out', ['word'], '--label is missing.', '--help'],
    ['a required word left out', ['--label', 'x'], 'FIRST is missing.', '--help'],
    [
      'a word for the option that is missing',
      ['word', 'two', 'my phone'],
      'Nothing takes the word "my phone".',
      'Did you mean --label "my phone"?',
    ],
    [
      'the beginning of an option',
      [...word, '--max', '5'],
      'There is no option --max here.',
      'Did you mean --max-tokens?',
    ],
    ['an extra word', [...word, 'two', 'three'], 'Nothing takes the word "three".', '--help'],
    [
      'an extra word after --',
      [...word, 'two', '--', '--json'],
      'Nothing takes the word "--json".',
      '--help',
    ],
    ['an option given twice', [...word, '--label', 'y'], '--label is given more than once.', '--help'],
    [
      'a switch given twice',
      [...word, '--stream', '--stream'],
      '--stream is given more than once.',
      '--help',
    ],
    [
      'a global option given twice',
      [...word, '--json', '--json'],
      '--json is given more than once',
      '--help',
    ],
  ])('%s', (_, rawArgs, message, hint) => {
    const error = failure(() => checkArgs(sample, rawArgs));
    expect(error.code).toBe('USAGE_ERROR');
    expect(error.message).toContain(message);
    expect(error.hint).toContain(hint);
  });

  test.each([
    [['--colour', 'gren'], '--colour: "gren" is none of red, green.', 'Did you mean green?'],
    [['--colour=blue'], '--colour: "blue" is none of red, green.', null],
    [['--colour='], '--colour: "" is none of red, green.', null],
    [['--format', 'xml'], '--format: "xml" is none of text, json.', null],
    [['--format', 'jsno'], '--format: "jsno" is none of text, json.', 'Did you mean json?'],
  ])('a word that is none of the few: %j', (extra, message, hint) => {
    const error = failure(() => checkArgs(sample, [...word, ...extra]));
    expect(error).toMatchObject({ code: 'INVALID_INPUT', message, hint });
  });
});

describe('what is taken', () => {
  const word = ['word', '--label', 'x'];
  test.each([
    ['a value after =', ['word', '--label=a=b'], { label: ['a=b'] }],
    ['an empty value after =', ['word', '--label='], { label: [''] }],
    ['a value that looks like an option, after =', ['word', '--label=--json'], { label: ['--json'] }],
    ['a number as text', ['word', '--label', '007'], { label: ['007'] }],
    ['a letter for an option', [...word, '-m', 'a'], { label: ['x'], model: ['a'] }],
    ['a letter with its value', [...word, '-ma'], { label: ['x'], model: ['a'] }],
    ['a repeatable option', [...word, '-m', 'a', '--model=b'], { label: ['x'], model: ['a', 'b'] }],
    ['a switch', [...word, '--stream'], { label: ['x'], stream: ['true'] }],
    ['an option before the word', ['--label', 'x', 'word'], { label: ['x'] }],
    ['the words themselves in the place of options', ['stream', '--label', 'label'], { label: ['label'] }],
  ])('%s', (_, rawArgs, values) => {
    expect(checkArgs(sample, rawArgs)).toEqual({ values, rest: [] });
  });

  test('words beyond the named ones, where a command wants them', () => {
    expect(checkArgs(talker, ['why', 'is', '2'])).toEqual({ values: {}, rest: ['is', '2'] });
    expect(checkArgs(talker, ['--', '--json', '-h'])).toEqual({ values: {}, rest: ['-h'] });
  });
});

describe('asking for help', () => {
  test.each([
    [['--help'], true],
    [['-h'], true],
    [['word', '--label', 'x', '-h'], true],
    [['--nonsense', '--help', 'word'], true],
    [['--', '--help'], false],
    [['help'], false],
    [['--label=--help'], false],
    [[], false],
  ])('%j', (rawArgs, wanted) => {
    expect(asksForHelp(rawArgs)).toBe(wanted);
  });
});

describe('running', () => {
  /** What the command's `run` sees of a command line. */
  async function seen(rawArgs: readonly string[]): Promise<Record<string, unknown>> {
    let got: Record<string, unknown> = {};
    const probe: FlmCommand = command({
      ...sample,
      args: {
        first: { type: 'positional', required: false, description: 'A word.' },
        label: { type: 'string', description: 'A text.' },
        'max-tokens': { type: 'string', description: 'A number.' },
        model: { type: 'string', alias: 'm', description: 'A text.' },
        stream: { type: 'boolean', description: 'A switch.' },
      },
      repeatable: ['model'],
      takesRest: true,
      async run({ args, all, rest }) {
        const { first, label, model, stream } = args;
        got = { first, label, model, stream, tokens: args['max-tokens'], models: all('model'), rest };
      },
    });
    await runStrict(probe, rawArgs, cliStub());
    return got;
  }

  test.each([
    [['a'], { first: 'a' }],
    [['7'], { first: '7' }],
    [['--label', '1e3', '--max-tokens', '010'], { label: '1e3', tokens: '010' }],
    [['--label', ''], { label: '' }],
    [['--max-tokens', '-1', 'a'], { tokens: '-1', first: 'a' }],
    [['--label', 'x', '--', '--max-tokens', '-1'], { label: 'x', first: '--max-tokens', rest: ['-1'] }],
    [['--json', 'a'], { first: 'a' }],
    [['--format', 'text', 'a'], { first: 'a' }],
    [['-m', 'x', 'a', '-m', 'y'], { first: 'a', model: 'y', models: ['x', 'y'] }],
    [['--stream', 'a', 'b'], { first: 'a', stream: true, rest: ['b'] }],
    [['--', '-5', '--stream'], { first: '-5', rest: ['--stream'] }],
    [['--', '--no-stream'], { first: '--no-stream' }],
  ])('%j', async (rawArgs, expected) => {
    const nothing = { first: undefined, label: undefined, model: undefined, stream: undefined };
    expect(await seen(rawArgs)).toEqual({ ...nothing, tokens: undefined, models: [], rest: [], ...expected });
  });

  test('runs nothing when an argument is wrong', async () => {
    let ran = false;
    const probe = command({
      ...talker,
      run: async () => {
        ran = true;
      },
    });
    const error: unknown = await runStrict(probe, ['--nope'], cliStub()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FlmError);
    expect(ran).toBe(false);
  });
});

test('what other programs call it leads to commands that are there, and to no command’s own name', async () => {
  for (const [path, words] of Object.entries(OTHER_WORDS)) {
    const { target } = await findCommand(PROGRAM, [...(path === '' ? [] : path.split(' ')), '--help']);
    if (!isGroupTarget(target)) throw new Error(`${path} is no group`);
    for (const [word, meant] of Object.entries(words)) {
      expect(Object.hasOwn(target.commands, word)).toBe(false);
      expect({ word, meant: Object.hasOwn(target.commands, meant) || meant.endsWith('.') }).toEqual({
        word,
        meant: true,
      });
    }
  }
});

test('no two options of a command share a letter, and none takes a letter of the global ones', async () => {
  for (const {
    name,
    command: { args },
  } of await everyCommand()) {
    const letters = [
      'h',
      ...Object.values(args).flatMap((arg) => ('alias' in arg ? [arg.alias ?? []].flat() : [])),
    ];
    expect({ name, letters: new Set(letters).size }).toEqual({ name, letters: letters.length });
  }
});

/** A Cli for commands that do not use it. */
function cliStub(): Cli {
  const unused = () => {
    throw new Error('not used here');
  };
  return {
    env: {},
    clock: systemClock,
    format: 'json',
    interactive: false,
    watched: false,
    decorated: false,
    interrupted: new AbortController().signal,
    get paths() {
      return unused();
    },
    get egress() {
      return unused();
    },
    readStdin: unused,
    write: unused,
    note: unused,
    result: unused,
    delivered: unused,
    fail: unused,
  };
}
