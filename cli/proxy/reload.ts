/** `flm proxy reload` */
import { requireRunning } from '../backend';
import { command } from '../command';
import { SELECTOR_ARGS, selectorOf } from './selector';

export default command({
  about:
    'Read flm.toml and the security policy again. What is not valid is refused, and what is in force stays.',
  args: SELECTOR_ARGS,
  details: ['Port, address and mode of a proxy change only when it is stopped and started', 'again.'],
  examples: ['flm proxy reload --all', 'flm proxy reload --port 8080'],
  async run({ cli, args }) {
    const selector = selectorOf(args);
    const { proxies } = await requireRunning(cli);
    const result = await proxies.reload(selector);
    const [handleId] = result.handle_ids;
    const { reloaded, total, errors, changed, restart_required: waits, policy_version: version } = result;
    const settings = { changed, restart_required: waits, policy_version: version };
    cli.result(
      'all' in selector
        ? { reloaded, total, errors, ...settings }
        : { handle_id: handleId, status: 'reloaded', ...settings },
      () =>
        [
          changed.length === 0 ? 'Nothing has changed.' : `Changed: ${changed.join(', ')}`,
          version === null
            ? 'The security policy cannot be read, and nobody is let in: flm check tells why.'
            : `The security policy is version ${version}.`,
          ...(waits.length === 0 ? [] : [`From the next start on: ${waits.join(', ')}`]),
        ].join('\n'),
    );
  },
});
