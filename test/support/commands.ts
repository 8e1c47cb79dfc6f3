/** Every command of FLM, for tests that go through all of them. */
import { type FlmCommand, type FlmGroup, isGroup } from '../../cli/command';
import { PROGRAM } from '../../cli/commands';

export interface NamedCommand {
  /** `['api-keys', 'create']` */
  readonly path: readonly string[];
  /** `api-keys create` */
  readonly name: string;
  readonly command: FlmCommand;
}

export async function everyCommand(
  group: FlmGroup = PROGRAM,
  path: readonly string[] = [],
): Promise<NamedCommand[]> {
  const found = await Promise.all(
    Object.entries(group.commands).map(async ([word, entry]) => {
      const here = [...path, word];
      if (isGroup(entry)) return everyCommand(entry, here);
      return [{ path: here, name: here.join(' '), command: await entry() }];
    }),
  );
  return found.flat();
}
