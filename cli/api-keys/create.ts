/** `flm api-keys create` */
import { KEY_SCOPES, type KeyChange, KeyInput } from '../../src/admission';
import { FlmError } from '../../src/lib/errors';
import { addressOf } from '../../src/lib/model-name';
import type { AliasView, ModelView } from '../../src/models';
import { type Backend, withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { DURATION, parseDuration } from '../duration';
import { inFlags } from '../flag-names';
import { outputFailed } from '../output';
import { printable } from '../table';

import { TERM_ARGS, TERM_FLAGS, TERM_LISTS, termsIn } from './terms';
import { keyText } from './text';

/** Those of KEY_SCOPES that anything in FLM asks for. */
const USED_SCOPES = ['inference', 'metrics'] as const satisfies readonly (typeof KEY_SCOPES)[number][];

const { expires_in_s: LIFETIME } = KeyInput.properties;

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
      description: `When it ends: ${DURATION}. Default: never.`,
    },
    scope: {
      type: 'string',
      valueHint: USED_SCOPES.join('|'),
      description: 'What it may do (repeatable): use models, or read /metrics. Default: inference.',
    },
    ...TERM_ARGS,
  },
  repeatable: ['model', 'scope', ...TERM_LISTS],
  examples: [
    'flm api-keys create --label my-app',
    'flm api-keys create --label guest --expires-in 7d --model "llama3.2*"',
    'flm api-keys create --label phone --cidr 192.168.0.0/16 --rpm 60 --tpm 50000 --parallel 2',
    'flm api-keys create --label web --origin https://app.example --rotate-every 30d --rotate-grace 7d',
    'flm api-keys create --label prometheus --scope metrics',
    'flm api-keys create --label ci --json | jq -r .data.plain_key',
  ],
  async run({ cli, args, all }) {
    const models = all('model');
    for (const pattern of models) checkPattern(pattern);
    const input: KeyInput = {
      label: args.label,
      ...(models.length === 0 ? {} : { models: [...models] }),
      ...(all('scope').length === 0 ? {} : { scopes: all('scope').map(scopeOf) }),
      ...(args['expires-in'] === undefined
        ? {}
        : { expires_in_s: parseDuration('--expires-in', args['expires-in'], LIFETIME) }),
      ...laidDown(termsIn(args, all)),
    };
    await withBackend(cli, async (backend) => {
      const names =
        models.length === 0
          ? null
          : await withProgress(cli, 'Asking the engines', () => namesFrom(backend.models));
      const created = await inFlags(TERM_FLAGS, () => backend.keys.create(input));
      cli.result(created, () => {
        const unknown = names === null ? [] : models.filter((pattern) => !hasMatch(pattern, names));
        return [keyText(created), ...unknown.map(unknownText)].join('\n');
      });
      const lost = await cli.delivered();
      if (lost === null) return;
      // It is shown this once.
      await backend.keys.revoke(created.id);
      throw outputFailed(lost, `The new key ${created.id} is revoked again, because nobody has seen it.`);
    });
  },
});

/** A new key has nothing that could be taken off: what would, is not given at all. */
function laidDown(terms: KeyChange): Partial<KeyInput> {
  return Object.fromEntries(Object.entries(terms).filter(([, term]) => term !== null));
}

function scopeOf(text: string): (typeof USED_SCOPES)[number] {
  const scope = USED_SCOPES.find((known) => known === text);
  if (scope !== undefined) return scope;
  const planned = KEY_SCOPES.some((known) => known === text);
  const reason = planned
    ? `nothing asks for the scope "${text}" yet`
    : `"${text}" is no scope; there is ${USED_SCOPES.join(', ')}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: '--scope', reason } });
}

/** @throws INVALID_INPUT for a pattern that can match nothing, because only its end is looked at for a star */
export function checkPattern(pattern: string): void {
  if (!pattern.slice(0, -1).includes('*')) return;
  const reason = `"${pattern}" has a * before its end, where it matches nothing`;
  throw new FlmError('INVALID_INPUT', { meta: { field: '--model', reason } });
}

/** Everything that a key's list can name at this moment. */
async function namesFrom(models: Backend['models']): Promise<readonly string[]> {
  const [{ items }, aliases] = await Promise.all([models.list(null), models.aliases()]);
  return namesOf(items, aliases.items);
}

export function namesOf(models: readonly ModelView[], aliases: readonly AliasView[]): readonly string[] {
  const ofModels = models.flatMap(({ id, other_names: others, engine, kind }) =>
    [id, ...others].flatMap((name) => [name, addressOf(engine, name), addressOf(kind, name)]),
  );
  return [...aliases.map(({ name }) => name), ...ofModels];
}

export function hasMatch(pattern: string, names: readonly string[]): boolean {
  if (!pattern.endsWith('*')) return names.includes(pattern);
  const start = pattern.slice(0, -1);
  return names.some((name) => name.startsWith(start));
}

function unknownText(pattern: string): string {
  return `No running engine has ${printable(pattern)} now, and no alias is called so. Is it spelled right?`;
}
