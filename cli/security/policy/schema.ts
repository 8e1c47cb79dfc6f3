/** `flm security policy schema` */
import { POLICY_SCHEMA } from '../../../src/policy';
import { command } from '../../command';

export default command({
  about: 'Print the JSON Schema of the security policy, for editors and tests.',
  examples: ['flm security policy schema --format text > security-policy.schema.json'],
  async run({ cli }) {
    cli.result(POLICY_SCHEMA, () => JSON.stringify(POLICY_SCHEMA, null, 2));
  },
});
