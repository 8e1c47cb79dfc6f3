/** Names of models: plain, or `flm://<engine>/<model>` for one engine's copy (FLM-050). */
import { FlmError } from './errors';

export type ModelName =
  | { readonly kind: 'plain'; readonly model: string }
  | { readonly kind: 'address'; readonly engine: string; readonly model: string };

const PREFIX = 'flm://';
const MAX_NAME = 200;

/**
 * Reads what a client wrote as `model`. An address is split at the first `/` after the prefix, because model names may
 * hold `/` and `:` themselves.
 * @throws INVALID_MODEL
 */
export function parseModelName(text: string): ModelName {
  if (text === '') throw invalid('it is empty');
  if (!text.startsWith(PREFIX)) {
    if (text.length > MAX_NAME) throw invalid(`it is longer than ${MAX_NAME} characters`);
    return { kind: 'plain', model: text };
  }
  const slash = text.indexOf('/', PREFIX.length);
  const engine = slash === -1 ? '' : text.slice(PREFIX.length, slash);
  const model = slash === -1 ? '' : text.slice(slash + 1);
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(engine))
    throw invalid('the engine after flm:// is missing or malformed');
  if (model === '' || model.length > MAX_NAME)
    throw invalid('the model after the engine is missing or too long');
  return { kind: 'address', engine, model };
}

export function addressOf(engine: string, model: string): string {
  return `${PREFIX}${engine}/${model}`;
}

function invalid(reason: string): FlmError {
  return new FlmError('INVALID_MODEL', { meta: { reason }, param: 'model' });
}
