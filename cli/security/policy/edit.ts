/** `flm security policy edit` */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { errorFromWire, FlmError, toFlmError } from '../../../src/lib/errors';
import type { Env } from '../../../src/lib/paths';
import type { PolicyChange } from '../../../src/policy';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { parse, readText } from './source';
import { changeText } from './text';

export default command({
  about: 'Change the security policy in your editor ($VISUAL, else $EDITOR).',
  args: { note: { type: 'string', valueHint: 'text', description: 'Why, for whoever reads the history.' } },
  details: [
    'What you have written is checked before it counts. When it is not valid, or',
    'somebody else was faster, it stays in a file that you are told of.',
  ],
  examples: ['flm security policy edit', 'EDITOR="code --wait" flm security policy edit'],
  async run({ cli, args }) {
    // Not held open while somebody thinks: the data directory may be another's meanwhile.
    const { version, document } = await withBackend(cli, (backend) => backend.policy.show());
    const before = `${JSON.stringify(document, null, 2)}\n`;
    const file = join(mkdtempSync(join(tmpdir(), 'flm-policy-')), 'policy.json');
    writeFileSync(file, before, { mode: 0o600 });
    let change: PolicyChange | null = null;
    try {
      await openEditor(cli.env, file);
      const text = readText(file);
      if (text !== before) {
        const input = {
          document: parse(file, text),
          if_version: version,
          ...(args.note === undefined ? {} : { note: args.note }),
        };
        change = await withBackend(cli, (backend) => backend.policy.set(input));
      }
    } catch (error) {
      throw kept(error, file);
    }
    rmSync(dirname(file), { recursive: true, force: true });
    cli.result(change, () => (change === null ? 'Nothing was changed.' : changeText(change)));
  },
});

/** The same error, with where the work is that must not be lost. */
function kept(error: unknown, file: string): FlmError {
  const { code, message } = toFlmError(error);
  const hint = `What you wrote is in ${file}. Mend it, then: flm security policy set --file ${file}`;
  return errorFromWire({ code, message, hint });
}

/** @throws INVALID_INPUT when there is no editor, or it fails */
async function openEditor({ VISUAL: visual, EDITOR: editor }: Env, file: string): Promise<void> {
  const chosen = visual || editor || (process.platform === 'win32' ? 'notepad' : 'vi');
  const failed = (reason: string) =>
    new FlmError('INVALID_INPUT', { meta: { field: 'the editor', reason: `"${chosen}" ${reason}` } });
  // Through a shell, as git does: people write options and quotes there.
  const words =
    process.platform === 'win32'
      ? [...chosen.split(' '), file]
      : ['/bin/sh', '-c', `${chosen} "$1"`, 'sh', file];
  let code: number;
  try {
    code = await Bun.spawn(words, { stdin: 'inherit', stdout: 'inherit', stderr: 'inherit' }).exited;
  } catch {
    throw failed('cannot be started');
  }
  if (code !== 0) throw failed(`ended with code ${code}`);
}
