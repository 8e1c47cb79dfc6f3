/** Keeps answers back from those with a bad score, so that trying a list takes them long. Never more than a few at once. */

export interface Tarpit {
  /** Resolves after a while; null when already too many are held. */
  hold(): Promise<void> | null;
  readonly held: number;
  /** Lets everybody go, and holds nobody from now on. */
  close(): void;
}

export interface TarpitOptions {
  readonly delayMs: number;
  readonly maxHeld: number;
}

export function createTarpit({ delayMs, maxHeld }: TarpitOptions): Tarpit {
  const waiting = new Map<ReturnType<typeof setTimeout>, () => void>();
  let isClosed = false;
  return {
    hold() {
      if (isClosed || waiting.size >= maxHeld) return null;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(() => {
        waiting.delete(timer);
        resolve();
      }, delayMs);
      waiting.set(timer, resolve);
      return promise;
    },
    get held() {
      return waiting.size;
    },
    close() {
      isClosed = true;
      for (const [timer, release] of waiting) {
        clearTimeout(timer);
        release();
      }
      waiting.clear();
    },
  };
}
