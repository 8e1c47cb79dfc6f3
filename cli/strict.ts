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

/** Finds the command that the words name. @throws USAGE_ERROR with the nearest command there is. */
export async function findCommand(program: FlmGroup, words: readonly string[]): Promise<Found> {
  let group = program;
  const path: string[] = [];
  for (const [index, word] of words.entries()) {
    if (word.startsWith('-')) break;
    const entry = group.commands[word];
    if (entry === undefined || !Object.hasOwn(group.commands, word)) throw unknownCommand(group, path, word);
    path.push(word);
    if (!isGroup(entry)) return { path, target: await entry(), rawArgs: words.slice(index + 1) };
    group = entry;
  }
  return { path, target: group, rawArgs: words.slice(path.length) };
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
  throw usage(`${flag} stands after the command`, `As in: ${['flm', ...path].join(' ')} <command> ${flag}`);
}

/** What the raw arguments hold, checked. @throws USAGE_ERROR, INVALID_INPUT */
export function checkArgs(command: FlmCommand, rawArgs: readonly string[]): Omit<RunData, 'cli'> {
  const all: ArgsDef = { ...command.args, ...GLOBAL_ARGS };
  const { values, positionals } = parse(all, command.repeatable, rawArgs);
  const named = Object.entries(command.args).filter(([, arg]) => arg.type === 'positional');
  if (positionals.length > named.length && !command.takesRest) {
    throw usage(`Nothing takes the word "${positionals[named.length]}"`);
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

/** Checks the arguments and runs the command. */
export async function runStrict(command: FlmCommand, rawArgs: readonly string[], cli: Cli): Promise<void> {
  const data: RunData = { cli, ...checkArgs(command, rawArgs) };
  // Global options are FLM's own: citty must not take their values for words of the command.
  const full: CommandDef = { ...command, args: { ...command.args, ...(GLOBAL_ARGS as ArgsDef) } };
  await runCommand(full, { rawArgs: [...rawArgs], data });
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
  const reason = `"${value}" is none of ${words.join(', ')}${near === null ? '' : `; did you mean ${near}?`}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: `--${name}`, reason } });
}

function unknownFlag(flag: string, known: readonly string[]): FlmError {
  const near = suggest(flag.replace(/^-+/, ''), known);
  return usage(`There is no option ${flag} here`, near === null ? undefined : `Did you mean --${near}?`);
}

function unknownCommand(group: FlmGroup, path: readonly string[], word: string): FlmError {
  const near = suggest(word, Object.keys(group.commands));
  const name = ['flm', ...path].join(' ');
  return usage(
    `"${name}" has no command "${word}"`,
    near === null ? `"${name} --help" lists the commands.` : `Did you mean "${name} ${near}"?`,
  );
}

function usage(reason: string, hint?: string): FlmError {
  return new FlmError('USAGE_ERROR', { meta: { reason }, ...(hint === undefined ? {} : { hint }) });
}
