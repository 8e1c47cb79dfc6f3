/** `flm security policy validate` */
import { withBackend } from '../../backend';
import { command } from '../../command';
import { documentFrom, isGiven, SOURCE_ARGS } from './source';
import { reviewText } from './text';

export default command({
  about: 'Say everything that is wrong with a policy, without storing it. Exit code 1 when it is not valid.',
  args: SOURCE_ARGS,
  details: [
    'Without a policy: the one in force. Here --json takes the policy; for the',
    'result as JSON say --format json.',
  ],
  examples: [
    'flm security policy validate --file policy.json',
    'cat policy.json | flm security policy validate -',
  ],
  async run({ cli, args }) {
    const given = isGiven(args) ? await documentFrom(cli, args) : null;
    const review = await withBackend(cli, async ({ policy }) =>
      policy.validate(given ?? (await policy.show()).document),
    );
    cli.result(review, () => reviewText(review));
    if (!review.valid) cli.fail(1);
  },
});
