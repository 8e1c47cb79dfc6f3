/** What a command of ours is: citty's definition, with examples, repeatable options and FLM's own context. */
import { type ArgsDef, type CommandDef, defineCommand, type ParsedArgs } from 'citty';
import type { Cli } from './cli';

export interface CommandContext<Args extends ArgsDef> {
  readonly args: ParsedArgs<Args>;
  readonly cli: Cli;
  /** Every value of an option that may be given more than once. */
  all(name: keyof Args & string): readonly string[];
  /** Words that are not options, beyond those that have a name. */
  readonly rest: readonly string[];
}

interface CommandSpec<Args extends ArgsDef> {
  readonly about: string;
  readonly args?: Args;
  /** Options that may be given more than once. */
  readonly repeatable?: readonly (keyof Args & string)[];
  /** Whether words beyond the named ones are taken (the prompt of `flm chat`). */
  readonly takesRest?: boolean;
  /** Lines of the help for what takes more than a sentence. */
  readonly details?: readonly string[];
  readonly examples: readonly string[];
  readonly run: (context: CommandContext<Args>) => Promise<void>;
}

/** What the front end, the help and the docs read of a command. */
export interface FlmCommand extends CommandDef {
  readonly about: string;
  readonly args: ArgsDef;
  readonly repeatable: readonly string[];
  readonly takesRest: boolean;
  readonly details: readonly string[];
  readonly examples: readonly string[];
}

/** What `run` is handed through citty's `data`. */
export interface RunData {
  readonly cli: Cli;
  readonly values: Readonly<Record<string, readonly string[]>>;
  readonly rest: readonly string[];
}

/** Defines one verb. */
export function command<const Args extends ArgsDef>(spec: CommandSpec<Args>): FlmCommand {
  const args = spec.args ?? ({} as Args);
  const definition = defineCommand<Args>({
    meta: { description: spec.about },
    args,
    async run(context) {
      // citty types what it passes through as any; runStrict put a RunData there.
      const { cli, values, rest } = context.data as RunData;
      await spec.run({ args: context.args, cli, all: (name) => values[name] ?? [], rest });
    },
  });
  return {
    // The definition's own argument types served to check `run`; from here on all commands are alike.
    ...(definition as unknown as CommandDef),
    about: spec.about,
    args,
    repeatable: spec.repeatable ?? [],
    takesRest: spec.takesRest ?? false,
    details: spec.details ?? [],
    examples: spec.examples,
  };
}

/** A noun with verbs, or the program itself. Verbs are loaded only when they are needed. */
export interface FlmGroup {
  readonly about: string;
  readonly commands: Readonly<Record<string, FlmGroup | (() => Promise<FlmCommand>)>>;
  /** The one of its commands that is meant when none is named. */
  readonly bare?: string;
}

export function isGroup(entry: FlmGroup | (() => Promise<FlmCommand>)): entry is FlmGroup {
  return typeof entry !== 'function';
}
