/** `flm completions`: shell scripts made from the commands themselves. */
import { FlmError } from '../../src/lib/errors';
import { command, type FlmCommand, type FlmGroup } from '../command';
import { bashScript } from './bash';
import { fishScript } from './fish';
import { describeTree } from './tree';
import { zshScript } from './zsh';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

/** The verb, for the program whose commands it completes. */
export function completionsOf(program: FlmGroup): FlmCommand {
  return command({
    about: 'Print the completion script of a shell.',
    args: {
      // citty checks an enum only as an option; the word is checked below.
      shell: {
        type: 'positional',
        required: true,
        valueHint: 'bash|zsh|fish',
        description: 'The shell: bash, zsh or fish.',
      },
    },
    examples: [
      'source <(flm completions bash)',
      'flm completions zsh > ~/.zfunc/_flm',
      'flm completions fish > ~/.config/fish/completions/flm.fish',
    ],
    async run({ cli, args }) {
      const script = scriptFor(args.shell);
      cli.write(script(await describeTree(program)));
    },
  });
}

function scriptFor(shell: string): (typeof SCRIPTS)[keyof typeof SCRIPTS] {
  if (Object.hasOwn(SCRIPTS, shell)) return SCRIPTS[shell as keyof typeof SCRIPTS];
  const reason = `"${shell}" is none of ${Object.keys(SCRIPTS).join(', ')}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: 'shell', reason } });
}
