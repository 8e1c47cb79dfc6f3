/** What has been read of an engine and need not be read again: while a digest, or the bytes of an answer, stay the same. */

export interface Memo {
  /** The value under `key`, or null when there is none. */
  find<Value>(key: string): Value | null;
  keep<Value>(key: string, value: Value): void;
  /** Runs something unless it is running already under that name; resolves when it is done. Never rejects. */
  once(name: string, run: () => Promise<void>): Promise<void>;
  /** What `make` made of the bytes under `key` last time, when they are the same; else what it makes of them now. */
  whileSame<Value>(key: string, bytes: Uint8Array, make: (bytes: Uint8Array) => Value): Value;
  /** What `make` makes of an object, once for the same object. One kind of thing is made of each. */
  derived<Value>(source: object, make: () => Value): Value;
}

/** More models than FLM takes of one engine; above this the oldest entries go. */
const MAX_ENTRIES = 8_192;

export function createMemo(): Memo {
  const values = new Map<string, unknown>();
  const underWay = new Map<string, Promise<void>>();
  const derivatives = new WeakMap<object, unknown>();
  const latest = new Map<string, { readonly hash: number | bigint; readonly value: unknown }>();
  return {
    // One key always holds one kind of thing: whoever keeps it also looks for it.
    find: <Value>(key: string) => (values.get(key) as Value | undefined) ?? null,

    keep(key, value) {
      values.set(key, value);
      for (const oldest of values.keys()) {
        if (values.size <= MAX_ENTRIES) break;
        values.delete(oldest);
      }
    },

    once(name, run) {
      const running = underWay.get(name);
      if (running !== undefined) return running;
      const started = run()
        .catch(() => {}) // It is tried again at the next look.
        .finally(() => underWay.delete(name));
      underWay.set(name, started);
      return started;
    },

    whileSame<Value>(key: string, bytes: Uint8Array, make: (bytes: Uint8Array) => Value): Value {
      const hash = Bun.hash(bytes);
      const before = latest.get(key);
      if (before?.hash === hash) return before.value as Value;
      const value = make(bytes);
      latest.set(key, { hash, value });
      if (latest.size > MAX_ENTRIES) latest.clear();
      return value;
    },

    derived<Value>(source: object, make: () => Value): Value {
      if (derivatives.has(source)) return derivatives.get(source) as Value;
      const value = make();
      derivatives.set(source, value);
      return value;
    },
  };
}
