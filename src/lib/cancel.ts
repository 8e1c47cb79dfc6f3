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
    // Taken off one by one: a listener may remove another that has not been told yet.
    for (let next = this.#listeners?.shift(); next !== undefined; next = this.#listeners?.shift())
      next.handleEvent();
  }

  addEventListener(_type: 'abort', listener: CancelListener): void {
    if (this.aborted) return; // As with an AbortSignal: whoever comes too late has to look.
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
