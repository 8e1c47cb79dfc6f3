/** A Cancel in plain JavaScript: no event objects, no native part, nothing to make but a small object. */
import type { Cancel, CancelListener } from '../contract';

export class CancelSource implements Cancel {
  aborted = false;
  reason: unknown = undefined;
  #listeners: CancelListener[] | null = null;

  /** Tells every listener, in the order they came. The first reason stays. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const listeners = this.#listeners;
    this.#listeners = null;
    for (const listener of listeners ?? []) listener.handleEvent();
  }

  addEventListener(_type: 'abort', listener: CancelListener): void {
    if (this.#listeners === null) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: CancelListener): void {
    const index = this.#listeners?.indexOf(listener) ?? -1;
    if (index !== -1) this.#listeners?.splice(index, 1);
  }
}

/** The same as an AbortSignal, for the runtime's own functions. */
export function toAbortSignal(cancel: Cancel): AbortSignal {
  if (cancel instanceof AbortSignal) return cancel;
  const controller = new AbortController();
  if (cancel.aborted) controller.abort(cancel.reason);
  else cancel.addEventListener('abort', { handleEvent: () => controller.abort(cancel.reason) });
  return controller.signal;
}
