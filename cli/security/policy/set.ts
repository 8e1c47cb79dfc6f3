/** `flm security policy set` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { wholeNumber } from '../../numbers';
import { documentFrom, SOURCE_ARGS } from './source';
import { changeText } from './text';

export default command({
  about: 'Replace the security policy. What is not valid is refused, and the one in force stays.',
  args: {
    ...SOURCE_ARGS,
    note: { type: 'string', valueHint: 'text', description: 'Why, for whoever reads the history.' },
    'if-version': {
      type: 'string',
      valueHint: 'N',
      description: 'Only if this version is still in force: nobody else has changed it meanwhile.',
    },
  },
  details: [
    'The policy is one document: what is left out has its default. It counts within',
    'a second, for connections that are open too. Here --json takes the policy; for',
    'the result as JSON say --format json.',
  ],
  examples: [
    'flm security policy set --file policy.json --note "a limit for everybody"',
    `flm security policy set --json '{"rate_limit": {"rpm": 60}}'`,
    'cat policy.json | flm security policy set -',
  ],
  async run({ cli, args }) {
    const document = await documentFrom(cli, args);
    const expected = wholeNumber('if-version', args['if-version'], { min: 0, max: Number.MAX_SAFE_INTEGER });
    const change = await withBackend(cli, (backend) =>
      backend.policy.set({
        document,
        ...(expected === null ? {} : { if_version: expected }),
        ...(args.note === undefined ? {} : { note: args.note }),
      }),
    );
    cli.result(change, () => changeText(change));
  },
});
