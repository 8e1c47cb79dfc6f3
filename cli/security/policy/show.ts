/** `flm security policy show`, and `get` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { requireDefault } from './source';
import { policyText } from './text';

export default command({
  about: 'Show the security policy in force.',
  args: {
    name: { type: 'positional', required: false, description: 'default, the only policy there is.' },
  },
  examples: ['flm security policy show', 'flm security policy show --json | jq .data.document > policy.json'],
  async run({ cli, args }) {
    requireDefault(args.name);
    const policy = await withBackend(cli, (backend) => backend.policy.show());
    cli.result(policy, () => policyText(policy));
  },
});
