/** `flm security policy show` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { policyText } from './text';

export default command({
  about: 'Show the security policy in force.',
  examples: ['flm security policy show', 'flm security policy show --json | jq .data.document > policy.json'],
  async run({ cli }) {
    const policy = await withBackend(cli, (backend) => backend.policy.show());
    cli.result(policy, () => policyText(policy));
  },
});
