/**
 * The strict front of citty, which itself ignores unknown flags and extra words (design §5): finds the command, checks
 * every raw argument against its definition, and only then lets citty parse and run it.
 */
import { parseArgs } from 'node:util';
import { type ArgsDef, type CommandDef, runCommand } from 'citty';
import { FlmError } from '../src/lib/errors';
import { suggest } from '../src/lib/suggest';
import type { Cli } from './cli';
import { type FlmCommand, type FlmGroup, isGroup, type RunData } from './command';
import { OTHER_WORDS } from './other-words';

export interface Found {
  /** `['api-keys', 'create']` */
  readonly path: readonly string[];
  readonly target: FlmCommand | FlmGroup;
  /** What stands after the path. */
  readonly rawArgs: readonly string[];
}

/** Options that every command takes. */
export const GLOBAL_ARGS = {
  format: {
    type: 'enum',
    options: ['text', 'json'],
    description: 'How to print the result. Default: text on a terminal, json in a pipe.',
  },
  json: { type: 'boolean', description: 'Short for --format json.' },
  help: { type: 'boolean', alias: 'h', description: 'Explain the command.' },
} as const satisfies ArgsDef;

/** Those of them that a command takes as they are: one that writes files has formats of its own. */
export function globalArgs(own: ArgsDef): ArgsDef {
  return Object.fromEntries(Object.entries(GLOBAL_ARGS).filter(([name]) => !Object.hasOwn(own, name)));
}

/**
 * Finds the command that the words name. Global options may stand before it: `flm --json status`.
 * @throws USAGE_ERROR with the nearest command there is
 */
export async function findCommand(program: FlmGroup, words: readonly string[]): Promise<Found> {
  let group = program;
  const path: string[] = [];
  const globals: string[] = [];
  let rest = words;
  for (;;) {
    const length = globalLength(rest);
    globals.push(...rest.slice(0, length));
    rest = rest.slice(length);
    const [word] = rest;
    if (word === undefined || word.startsWith('-')) {
      const rawArgs = [...globals, ...rest];
      const meant = group.bare === undefined ? undefined : group.commands[group.bare];
      if (meant === undefined || isGroup(meant) || asksForHelp(rawArgs))
        return { path, target: group, rawArgs };
      return { path: [...path, group.bare ?? ''], target: await meant(), rawArgs };
    }
    const entry = group.commands[word];
    if (entry === undefined || !Object.hasOwn(group.commands, word)) throw unknownCommand(group, path, word);
    path.push(word);
    rest = rest.slice(1);
    if (!isGroup(entry)) return { path, target: await entry(), rawArgs: [...globals, ...rest] };
    group = entry;
  }
}

/** How many words the global option takes that they begin with; 0 when it is none. */
function globalLength([word = '', value]: readonly string[]): number {
  if (word === '--format') return value === undefined ? 1 : 2;
  return word === '--json' || word === '--help' || word === '-h' || word.startsWith('--format=') ? 1 : 0;
}

/** Whether the words ask for help, before anything else is checked. */
export function asksForHelp(rawArgs: readonly string[]): boolean {
  const end = rawArgs.indexOf('--');
  return (end === -1 ? rawArgs : rawArgs.slice(0, end)).some((arg) => arg === '--help' || arg === '-h');
}

/** A group takes no options of its own. @throws USAGE_ERROR */
export function checkNoArgs({ path, rawArgs: [flag] }: Found): void {
  if (flag === undefined) return;
  const name = flag.replace(/^-+/, '').split('=', 1)[0] ?? '';
  if (!Object.hasOwn(GLOBAL_ARGS, name)) throw unknownFlag(flag, ['help']);
  throw usage('The command is missing', `"${['flm', ...path].join(' ')} --help" lists the commands.`);
}

/** What the raw arguments hold, checked. @throws USAGE_ERROR, INVALID_INPUT */
export function checkArgs(command: FlmCommand, rawArgs: readonly string[]): Omit<RunData, 'cli'> {
  const all: ArgsDef = { ...command.args, ...globalArgs(command.args) };
  const { values, positionals } = parse(all, command.repeatable, rawArgs);
  const named = Object.entries(command.args).filter(([, arg]) => arg.type === 'positional');
  if (positionals.length > named.length && !command.takesRest) {
    const word = positionals[named.length] ?? '';
    throw usage(`Nothing takes the word "${word}"`, optionFor(word, command, values));
  }
  for (const [index, [name, arg]] of named.entries()) {
    if (arg.required !== false && positionals[index] === undefined)
      throw usage(`${name.toUpperCase()} is missing`);
  }
  for (const [name, arg] of Object.entries(all)) {
    const given = values[name] ?? [];
    if (arg.type !== 'positional' && arg.required === true && given.length === 0)
      throw usage(`--${name} is missing`);
    if (arg.type === 'enum') for (const value of given) checkWord(name, value, arg.options ?? []);
  }
  return { values, rest: positionals.slice(named.length) };
}

/** `--label phone`, for `api-keys create phone`: the only option that is missing still. */
function optionFor(word: string, { args }: FlmCommand, given: RunData['values']): string | undefined {
  const missing = Object.entries(args).filter(
    ([name, arg]) => arg.type === 'string' && arg.required === true && given[name] === undefined,
  );
  const value = /^[\w.:/@-]+$/.test(word) ? word : JSON.stringify(word);
  return missing.length === 1 ? `Did you mean --${missing[0]?.[0]} ${value}?` : undefined;
}

/** Checks the arguments and runs the command. */
export async function runStrict(command: FlmCommand, words: readonly string[], cli: Cli): Promise<void> {
  const rawArgs = joinNegatives(command.args, words);
  const data: RunData = { cli, ...checkArgs(command, rawArgs) };
  // Global options are FLM's own: citty must not take their values for words of the command.
  const full: CommandDef = { ...command, args: { ...command.args, ...globalArgs(command.args) } };
  await runCommand(full, { rawArgs: [...rawArgs], data });
}

/** `--max-tokens -1` as `--max-tokens=-1`: no option begins with a digit, and the command says which numbers it takes. */
function joinNegatives(args: ArgsDef, words: readonly string[]): string[] {
  const end = words.indexOf('--');
  const joined: string[] = [];
  for (const [index, word] of words.entries()) {
    const before = joined.at(-1) ?? '';
    const takesValue = args[before.replace(/^--/, '')]?.type === 'string' && before.startsWith('--');
    const inside = end === -1 || index < end;
    if (inside && takesValue && /^-\d/.test(word)) joined.splice(-1, 1, `${before}=${word}`);
    else joined.push(word);
  }
  return joined;
}

interface Parsed {
  readonly values: Readonly<Record<string, readonly string[]>>;
  readonly positionals: readonly string[];
}

function parse(all: ArgsDef, repeatable: readonly string[], rawArgs: readonly string[]): Parsed {
  const flags = Object.entries(all).filter(([, arg]) => arg.type !== 'positional');
  const options = Object.fromEntries(
    flags.map(([name, arg]) => [
      name,
      {
        type: arg.type === 'boolean' ? ('boolean' as const) : ('string' as const),
        multiple: true,
        ...('alias' in arg && typeof arg.alias === 'string' ? { short: arg.alias } : {}),
      },
    ]),
  );
  const { values, positionals } = parseOrExplain(options, rawArgs);
  const texts = Object.fromEntries(
    Object.entries(values).map(([name, list]) => [name, [list ?? []].flat().map(String)]),
  );
  for (const [name, list] of Object.entries(texts)) {
    if (list.length > 1 && !repeatable.includes(name)) throw usage(`--${name} is given more than once`);
  }
  return { values: texts, positionals };
}

type Options = Record<string, { type: 'boolean' | 'string'; multiple: boolean; short?: string }>;

function parseOrExplain(options: Options, rawArgs: readonly string[]) {
  try {
    return parseArgs({ args: [...rawArgs], options, allowPositionals: true, strict: true });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && 'code' in error ? error.code : null;
    // The runtime writes '--label <value>', or '-m, --model <value>' where there is a letter.
    const flag = /'(?:-\w, )?(-{1,2}[^'\s=,]+)/.exec(message)?.[1] ?? '';
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw unknownFlag(flag, Object.keys(options));
    if (options[flag.replace(/^-+/, '')]?.type === 'boolean') throw usage(`${flag} takes no value`);
    throw usage(`${flag} needs a value`);
  }
}

function checkWord(name: string, value: string, words: readonly string[]): void {
  if (words.includes(value)) return;
  const near = suggest(value, words);
  throw new FlmError('INVALID_INPUT', {
    meta: { field: `--${name}`, reason: `"${value}" is none of ${words.join(', ')}` },
    ...(near === null ? {} : { hint: `Did you mean ${near}?` }),
  });
}

function unknownFlag(flag: string, known: readonly string[]): FlmError {
  const near = suggest(flag.replace(/^-+/, ''), known);
  return usage(`There is no option ${flag} here`, near === null ? undefined : `Did you mean --${near}?`);
}

function unknownCommand(group: FlmGroup, path: readonly string[], word: string): FlmError {
  const name = ['flm', ...path].join(' ');
  const others = OTHER_WORDS[path.join(' ')] ?? {};
  const meant =
    (Object.hasOwn(others, word) ? others[word] : null) ?? suggest(word, Object.keys(group.commands));
  return usage(`"${name}" has no command "${word}"`, hintFor());

  function hintFor(): string {
    if (meant === null) return `"${name} --help" lists the commands.`;
    return Object.hasOwn(group.commands, meant) ? `Did you mean "${name} ${meant}"?` : meant;
  }
}

function usage(reason: string, hint?: string): FlmError {
  return new FlmError('USAGE_ERROR', { meta: { reason }, ...(hint === undefined ? {} : { hint }) });
}
