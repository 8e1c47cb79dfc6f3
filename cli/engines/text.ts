/** Engines as a table for people, within 80 columns for ordinary ones. */
import type { EngineList, EngineView } from '../../src/engines';
import { type Row, table } from '../table';

/** `trial`: what is to be said of a trial engine that is not among them. */
export function enginesText({ items }: EngineList, trial: string | null = null): string {
  const none =
    trial === null
      ? 'No engine found. Start one (Ollama, llama.cpp, vLLM, LM Studio), or try one: flm engines try'
      : 'No engine runs.';
  const text = table(['ENGINE', 'WHAT', 'STATUS', 'SLOTS', 'MODELS', 'URL'], items.map(rowOf), none);
  return trial === null ? text : `${text}\n${trial}`;
}

function rowOf({ id, name, version, status: { status, reason }, slots, models, url }: EngineView): Row {
  const cells = [
    id,
    version === null ? name : `${name} ${version}`,
    status.replace(/^running-/, ''),
    slots === null ? '-' : String(slots),
    String(models.length),
    // Most are plain http, and the line is short.
    url.replace(/^http:\/\//, ''),
  ];
  return { cells, below: reason };
}
