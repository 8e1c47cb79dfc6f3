/**
 * What ends work under way, and why. Every AbortSignal is one; requests of clients carry FLM's own (lib/cancel), which
 * costs a tenth of it.
 */
export interface Cancel {
  readonly aborted: boolean;
  /** What to throw, once it is aborted. */
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: CancelListener): void;
  removeEventListener(type: 'abort', listener: CancelListener): void;
}

export interface CancelListener {
  handleEvent(): void;
}
