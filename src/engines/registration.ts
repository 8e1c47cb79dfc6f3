/** From what the owner types to an engine that can be kept: address, kind and name, each checked. */
import type { Egress } from '../egress';
import { FlmError, reasonOf } from '../lib/errors';
import type { EngineTarget } from './adapter';
import { parseBaseUrl, placeOf, portOf } from './address';
import { recognise } from './detect';
import type { EngineInput } from './model';
import { adapterOf, ENGINE_KINDS, findKind } from './registry';
import type { Roster } from './roster';
import type { ManualEngine } from './store';

interface RegistrationOptions {
  readonly roster: Roster;
  readonly egress: Egress;
  readonly timeoutMs: number;
  readonly isOwnPort: (port: number) => boolean;
}

/** @throws as EnginesApi.add */
export async function checkedEngine(input: EngineInput, options: RegistrationOptions): Promise<ManualEngine> {
  const { roster } = options;
  const baseUrl = parseBaseUrl(input.url);
  await refuseBadPlace(baseUrl, options);
  const credential = input.key ?? null;
  const target = { baseUrl, credential };
  const kind = input.kind === undefined ? await askKind(target, options) : requireKind(input.kind);
  if (input.kind !== undefined) await refuseOtherKind(target, kind, options);
  const reserved = ENGINE_KINDS.find((name) => name === input.id);
  if (reserved !== undefined && reserved !== kind) {
    const reason = `"${reserved}" means the engines of that kind; choose another name`;
    throw new FlmError('INVALID_INPUT', { meta: { field: 'id', reason } });
  }
  const manual = roster.manual();
  const twin = manual.find((engine) => placeOf(engine.baseUrl) === placeOf(baseUrl));
  if (twin !== undefined) {
    const hint = `It is the one at ${twin.baseUrl}. To add it anew: flm engines remove ${twin.id}`;
    throw new FlmError('ENGINE_EXISTS', { meta: { engine: twin.id }, hint });
  }
  if (manual.some((engine) => engine.id === input.id)) {
    throw new FlmError('ENGINE_EXISTS', { meta: { engine: String(input.id) } });
  }
  if (input.id !== undefined && roster.isTaken(input.id, baseUrl)) {
    throw new FlmError('ENGINE_EXISTS', { meta: { engine: input.id } });
  }
  const id = input.id ?? roster.idFor(kind, baseUrl);
  return { id, kind, baseUrl, slots: input.slots ?? null, credential };
}

async function refuseBadPlace(baseUrl: string, { egress, isOwnPort }: RegistrationOptions): Promise<void> {
  if (placeOf(baseUrl).includes('//loopback:') && isOwnPort(portOf(new URL(baseUrl)))) {
    const reason = 'that is FLM itself, and it would ask itself for ever';
    throw new FlmError('ENGINE_URL_REFUSED', { meta: { url: baseUrl, reason } });
  }
  await egress.checkEngineUrl(baseUrl).catch((error: unknown) => {
    const reason = error instanceof FlmError ? String(error.meta.reason) : reasonOf(error);
    // A name that does not resolve today may do so tomorrow: the engine is added and shown as it is.
    if (reason.startsWith('its name cannot be resolved')) return;
    throw new FlmError('ENGINE_URL_REFUSED', { meta: { url: baseUrl, reason }, cause: error });
  });
}

/** An engine that is there and something else than its owner says is a mistake; one that is not there may come. */
async function refuseOtherKind(
  target: EngineTarget,
  kind: ManualEngine['kind'],
  { egress, timeoutMs }: RegistrationOptions,
): Promise<void> {
  const there = kind === 'openai' ? null : await recognise(target, { egress, timeoutMs });
  // Of one that only asks for a key, nobody can say what it is.
  if (there === null || there.kind === kind || there.kind === 'openai') return;
  const reason = `what answers at ${target.baseUrl} is ${adapterOf(there.kind).title}; leave --kind out, or say --kind ${there.kind}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: 'kind', reason } });
}

async function askKind(
  target: EngineTarget,
  { egress, timeoutMs }: RegistrationOptions,
): Promise<ManualEngine['kind']> {
  const engine = await recognise(target, { egress, timeoutMs });
  if (engine !== null) return engine.kind;
  const reason = 'no engine that FLM knows answers there';
  throw new FlmError('ENGINE_NETWORK_ERROR', {
    meta: { engine: target.baseUrl, reason },
    hint: `Start it first, or say what it is with --kind ${ENGINE_KINDS.join('|')}.`,
  });
}

function requireKind(name: string): ManualEngine['kind'] {
  const kind = findKind(name);
  if (kind !== null) return kind;
  const reason = `there is no kind "${name}"; FLM knows ${ENGINE_KINDS.join(', ')}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: 'kind', reason } });
}
