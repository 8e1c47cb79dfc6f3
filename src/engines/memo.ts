/** What has been read of an engine and need not be read again: while a digest, or the bytes of an answer, stay the same. */

export interface Memo {
  /** The value under `key`; made and kept when there is none. What fails to be made is not kept. */
  get<Value>(key: string, make: () => Promise<Value>): Promise<Value>;
  /** What `make` made of the bytes under `key` last time, when they are the same; else what it makes of them now. */
  whileSame<Value>(key: string, bytes: Uint8Array, make: (bytes: Uint8Array) => Value): Value;
  /** What `make` makes of an object, once for the same object. One kind of thing is made of each. */
  derived<Value>(source: object, make: () => Value): Value;
}

/** More models than one engine ever has; above this the oldest entries go. */
const MAX_ENTRIES = 4_096;

export function createMemo(): Memo {
  const values = new Map<string, unknown>();
  const derivatives = new WeakMap<object, unknown>();
  const latest = new Map<string, { readonly hash: number | bigint; readonly value: unknown }>();
  return {
    async get<Value>(key: string, make: () => Promise<Value>): Promise<Value> {
      // Only `make` of the same key has put something there, and one key is always made by one caller.
      if (values.has(key)) return values.get(key) as Value;
      const value = await make();
      values.set(key, value);
      for (const oldest of values.keys()) {
        if (values.size <= MAX_ENTRIES) break;
        values.delete(oldest);
      }
      return value;
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
