/** The slots of a llama.cpp server, as it tells them itself. */
import { isRecord } from '../../src/lib/json';

/** How many slots of the engine work at this moment. */
export async function busySlots(engineUrl: string): Promise<number> {
  // The engine closes connections that it promised to keep: a fresh one for each look.
  const response = await fetch(`${engineUrl}/slots`, { keepalive: false });
  const slots: unknown = await response.json();
  if (!Array.isArray(slots)) throw new Error(`no slots: ${JSON.stringify(slots)}`);
  return slots.filter((slot) => isRecord(slot) && slot.is_processing === true).length;
}
