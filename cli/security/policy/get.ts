/** `flm security policy get default`: how other programs ask for it (FLM-024) */
import { FlmError } from '../../../src/lib/errors';
import { withBackend } from '../../backend';
import { command } from '../../command';
import { policyText } from './text';

export default command({
  about: 'Show the security policy in force, as "show" does.',
  args: {
    name: { type: 'positional', required: false, description: 'The only policy there is: default.' },
  },
  examples: ['flm security policy get default'],
  async run({ cli, args: { name = 'default' } }) {
    if (name !== 'default')
      throw new FlmError('INVALID_INPUT', {
        meta: { field: 'NAME', reason: `there is no policy "${name}", only "default"` },
      });
    const policy = await withBackend(cli, (backend) => backend.policy.show());
    cli.result(policy, () => policyText(policy));
  },
});
