/** `flm security alerts targets add` */
import { withBackend } from '../../../backend';
import { command } from '../../../command';

export default command({
  about: 'Add a webhook, signed as Standard Webhooks has it (Ed25519); or change where an old one leads.',
  args: {
    id: { type: 'positional', required: true, description: 'Its name, for rules.' },
    url: { type: 'string', required: true, description: 'Where to post: https://hooks.example/flm' },
    'allow-private': {
      type: 'boolean',
      description: 'It may be an address of this machine or your network, and plain http.',
    },
  },
  details: [
    'FLM makes a key pair for it. Give its public key to the receiver, so that it can',
    'tell messages of FLM from others. The same name again keeps the key.',
  ],
  examples: [
    'flm security alerts targets add ops --url https://hooks.example/flm',
    'flm security alerts targets add ops --url http://192.168.1.5:9000/flm --allow-private',
  ],
  async run({ cli, args }) {
    const input = { url: args.url, ...(args['allow-private'] === true ? { allow_private: true } : {}) };
    const target = await withBackend(cli, (backend) => backend.alerts.setTarget(args.id, input));
    cli.result(target, () =>
      [
        `Alerts can go to ${target.id} (${target.url ?? 'the log'}).`,
        `Its public key: ${target.public_key ?? '-'}`,
        `Try it: flm security alerts test --target ${target.id}`,
        `Use it: flm security alerts set intrusion-critical --target log --target ${target.id}`,
      ].join('\n'),
    );
  },
});
