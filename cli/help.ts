/** The help of a command or a group; docs/cli.md is made of the same parts. */
import type { ArgDef } from 'citty';
import { type FlmCommand, type FlmGroup, isGroup } from './command';
import { globalArgs } from './strict';
import { columns } from './table';

/** `flm api-keys create --label <label> [options]` */
export function usageLine(path: readonly string[], target: FlmCommand | FlmGroup): string {
  const name = ['flm', ...path].join(' ');
  if (isGroupTarget(target)) return `${name} <command>`;
  const args = Object.entries(target.args);
  const named = args.filter(([, arg]) => arg.type === 'positional');
  const words = named.map(([word, arg], index) => {
    const more = target.takesRest && index === named.length - 1 ? '...' : '';
    return arg.required === false ? `[${word}${more}]` : `<${word}${more}>`;
  });
  const required = args
    .filter(([, arg]) => arg.type !== 'positional' && arg.required === true)
    .map(([flag, arg]) => `--${flag} <${hintOf(flag, arg)}>`);
  return [name, ...words, ...required, '[options]'].join(' ');
}

/** The options and words of a command: `['--label <label>', 'What it is for.']`. */
export function describeArgs(args: Readonly<Record<string, ArgDef>>): readonly (readonly [string, string])[] {
  return Object.entries(args).map(([name, arg]) => [spell(name, arg), arg.description ?? '']);
}

/** Name and purpose of each command in a group. */
export async function describeGroup(group: FlmGroup): Promise<readonly (readonly [string, string])[]> {
  return Promise.all(
    Object.entries(group.commands).map(async ([name, entry]) => {
      const about = isGroup(entry) ? entry.about : (await entry()).about;
      return [name, about] as const;
    }),
  );
}

export async function renderHelp(path: readonly string[], target: FlmCommand | FlmGroup): Promise<string> {
  const sections: string[] = [target.about, `Usage: ${usageLine(path, target)}`];
  if (isGroupTarget(target)) {
    sections.push(`Commands:\n${columns(await describeGroup(target))}`);
    sections.push(`"${['flm', ...path].join(' ')} <command> --help" explains a command.`);
  } else {
    const own = describeArgs(target.args);
    if (own.length > 0) sections.push(`Options:\n${columns(own)}`);
    if (target.details.length > 0) sections.push(target.details.join('\n'));
    sections.push(`Always:\n${columns(describeArgs(globalArgs(target.args)))}`);
    sections.push(`Examples:\n${target.examples.map((example) => `  ${example}`).join('\n')}`);
  }
  return `${sections.join('\n\n')}\n`;
}

export function isGroupTarget(target: FlmCommand | FlmGroup): target is FlmGroup {
  return 'commands' in target;
}

function spell(name: string, arg: ArgDef): string {
  if (arg.type === 'positional') return arg.required === false ? `[${name}]` : `<${name}>`;
  const short = 'alias' in arg && typeof arg.alias === 'string' ? `-${arg.alias}, ` : '';
  return arg.type === 'boolean' ? `${short}--${name}` : `${short}--${name} <${hintOf(name, arg)}>`;
}

function hintOf(name: string, arg: ArgDef): string {
  if (arg.type === 'enum') return (arg.options ?? []).join('|');
  return arg.valueHint ?? name;
}
