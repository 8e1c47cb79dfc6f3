/**
 * Who is acting: travels with the work it caused through every await, so that rooms can put their changes on record
 * without handing a name from call to call.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Principal } from '../contract';

export interface Actor {
  /** `system`: FLM itself, by a timer or at its start. `anonymous`: whoever knocks at the admin port. */
  readonly kind: Principal['kind'] | 'system' | 'anonymous';
  readonly id: string;
  /** By which door: the socket, the admin port, a command that works offline, or from inside. */
  readonly via: 'socket' | 'tcp' | 'offline' | 'inside';
  readonly requestId: string | null;
  /** W3C trace id, 32 hexadecimal digits. */
  readonly traceId: string | null;
  readonly ip: string | null;
}

/** FLM itself. */
export const SYSTEM: Actor = {
  kind: 'system',
  id: 'flm',
  via: 'inside',
  requestId: null,
  traceId: null,
  ip: null,
};

const storage = new AsyncLocalStorage<Actor>();

/** Runs `work` in the name of `actor`. */
export function actingAs<Result>(actor: Actor, work: () => Result): Result {
  return storage.run(actor, work);
}

/** Who the present work is done for; FLM itself when nobody asked for it. */
export function currentActor(): Actor {
  return storage.getStore() ?? SYSTEM;
}
