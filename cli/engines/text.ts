/** Engines as a table for people. */
import type { EngineList } from '../../src/engines';
import { table } from '../table';

export function enginesText({ items }: EngineList): string {
  return table(
    ['ENGINE', 'KIND', 'STATUS', 'VERSION', 'SLOTS', 'MODELS', 'URL'],
    items.map((engine) => [
      engine.id,
      engine.name,
      engine.status.reason === null
        ? engine.status.status
        : `${engine.status.status}: ${engine.status.reason}`,
      engine.version ?? '-',
      engine.slots === null ? '-' : String(engine.slots),
      String(engine.models.length),
      engine.url,
    ]),
    'No engine found. Start one (Ollama, llama.cpp, vLLM, LM Studio), or try one: flm engines try',
  );
}
