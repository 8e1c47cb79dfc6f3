/** `flm api-keys create` */
import { KEY_SCOPES, type KeyInput } from '../../src/admission';
import { FlmError } from '../../src/lib/errors';
import { withBackend } from '../backend';
import { command } from '../command';
import { parseDuration } from '../duration';
import { keyText } from './text';

export default command({
  about: 'Create an API key. It is shown once and kept nowhere.',
  args: {
    label: { type: 'string', required: true, description: 'What it is for, to tell it from others.' },
    model: {
      type: 'string',
      description: 'A model it may use (repeatable; * at the end matches the rest). Default: all.',
    },
    'expires-in': {
      type: 'string',
      valueHint: '90d',
      description: 'When it ends: 90d, 12h, 30m. Default: never.',
    },
    scope: {
      type: 'string',
      valueHint: KEY_SCOPES.join('|'),
      description: 'What it may do (repeatable). Default: inference.',
    },
  },
  repeatable: ['model', 'scope'],
  examples: [
    'flm api-keys create --label my-app',
    'flm api-keys create --label guest --expires-in 7d --model "llama3.2*"',
    'flm api-keys create --label ci --json | jq -r .data.plain_key',
  ],
  async run({ cli, args, all }) {
    const models = all('model');
    const input: KeyInput = {
      label: args.label,
      ...(models.length === 0 ? {} : { models: [...models] }),
      ...(all('scope').length === 0 ? {} : { scopes: all('scope').map(scopeOf) }),
      ...(args['expires-in'] === undefined
        ? {}
        : { expires_in_s: parseDuration('--expires-in', args['expires-in']) }),
    };
    const created = await withBackend(cli, (backend) => backend.keys.create(input));
    cli.result(created, () => keyText(created));
  },
});

function scopeOf(text: string): (typeof KEY_SCOPES)[number] {
  const scope = KEY_SCOPES.find((known) => known === text);
  if (scope !== undefined) return scope;
  const reason = `"${text}" is none of ${KEY_SCOPES.join(', ')}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: '--scope', reason } });
}
