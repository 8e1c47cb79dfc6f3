/** `flm security alerts targets key` */
import { FlmError } from '../../../../src/lib/errors';
import { withBackend } from '../../../backend';
import { command } from '../../../command';

export default command({
  about: 'Print the public key with which a receiver verifies what FLM sends it.',
  args: { id: { type: 'positional', required: true, description: 'The target.' } },
  examples: ['flm security alerts targets key ops'],
  async run({ cli, args: { id } }) {
    const { items } = await withBackend(cli, (backend) => backend.alerts.targets());
    const target = items.find((each) => each.id === id);
    if (target === undefined) throw new FlmError('ALERT_TARGET_NOT_FOUND', { meta: { id } });
    const { public_key: key } = target;
    if (key === null)
      throw new FlmError('INVALID_INPUT', { meta: { field: 'id', reason: 'the log needs no key' } });
    cli.result({ id, public_key: key }, () => key);
  },
});
