/** `flm security policy rollback` */
import { FlmError } from '../../../src/lib/errors';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { rollbackText } from './text';

export default command({
  about: 'Put an earlier version of the security policy back, as a new one.',
  args: {
    version: { type: 'positional', required: true, description: 'Its number, as "history" shows it.' },
    note: { type: 'string', valueHint: 'text', description: 'Why, for whoever reads the history.' },
  },
  details: ['Works also when the policy in force cannot be read.'],
  examples: [
    'flm security policy rollback 3',
    'flm security policy rollback 3 --note "clients were shut out"',
  ],
  async run({ cli, args }) {
    if (!/^[1-9]\d{0,14}$/.test(args.version))
      throw new FlmError('INVALID_INPUT', {
        meta: { field: 'VERSION', reason: `"${args.version}" is no number of a version` },
        hint: '"flm security policy history" shows them.',
      });
    const version = Number(args.version);
    const change = await withBackend(cli, (backend) =>
      backend.policy.rollback({ version, ...(args.note === undefined ? {} : { note: args.note }) }),
    );
    cli.result(change, () => rollbackText(change, version));
  },
});
