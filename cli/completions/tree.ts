/** The commands as plain data, which the scripts of the shells are made of. */
import type { ArgDef, ArgsDef } from 'citty';
import { type FlmGroup, isGroup } from '../command';
import { globalArgs } from '../strict';

export interface Flag {
  /** With its dashes: `--label`. */
  readonly name: string;
  readonly about: string;
  readonly takesValue: boolean;
  /** The only values it takes, when they are few. */
  readonly words: readonly string[];
}

export interface Node {
  /** `[]` for the program itself, `['api-keys', 'create']` for a verb. */
  readonly path: readonly string[];
  readonly about: string;
  /** Names of commands below it. */
  readonly children: readonly Node[];
  readonly flags: readonly Flag[];
  /** What its first word can be, where that is known: the settings, the shells. */
  readonly words: readonly string[];
}

export async function describeTree(group: FlmGroup, path: readonly string[] = []): Promise<Node> {
  const children = await Promise.all(
    Object.entries(group.commands).map(async ([name, entry]): Promise<Node> => {
      const childPath = [...path, name];
      if (isGroup(entry)) return describeTree(entry, childPath);
      const { about, args } = await entry();
      const all: ArgsDef = { ...args, ...globalArgs(args) };
      const flags = Object.entries(all)
        .filter(([, arg]) => arg.type !== 'positional')
        .map(([flag, arg]) => ({
          name: `--${flag}`,
          about: arg.description ?? '',
          takesValue: arg.type !== 'boolean',
          words: wordsOf(arg),
        }));
      const [word] = Object.values(args).filter((arg) => arg.type === 'positional');
      return { path: childPath, about, children: [], flags, words: word === undefined ? [] : wordsOf(word) };
    }),
  );
  return { path, about: group.about, children, flags: [], words: [] };
}

/** The options of an enum, or a hint that lists them: `bash|zsh|fish`. */
function wordsOf(arg: ArgDef): readonly string[] {
  if (arg.type === 'enum') return arg.options ?? [];
  return arg.valueHint?.includes('|') === true ? arg.valueHint.split('|') : [];
}

/** The node and everything below it. */
export function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of node.children) yield* walk(child);
}

export function nameOf(node: Node): string {
  return node.path.at(-1) ?? 'flm';
}
