/** One engine out of a list, by its id or its kind (FLM-014). */
import { ENGINE_KINDS, type EngineList, findKind } from '../../src/engines';
import { FlmError } from '../../src/lib/errors';

export const ENGINE_ARG = {
  type: 'string',
  description: 'Only this engine: its id or its kind.',
  valueHint: 'engine',
} as const;

/** @throws INVALID_INPUT when `engine` is neither an engine of the list nor a kind FLM knows */
export function onlyEngine(list: EngineList, engine: string | undefined): EngineList {
  if (engine === undefined) return list;
  const kind = findKind(engine);
  const items = list.items.filter((each) => each.id === engine || each.kind === kind);
  if (items.length > 0 || kind !== null) return { ...list, items };
  const reason = `"${engine}" is neither an engine here nor one of ${ENGINE_KINDS.join(', ')}`;
  throw new FlmError('INVALID_INPUT', { meta: { field: '--engine', reason } });
}
