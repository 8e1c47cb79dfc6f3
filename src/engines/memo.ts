/** What has been read of models once and does not change as long as their digest does not. */

export interface Memo {
  /** The value under `key`; made and kept when there is none. What fails to be made is not kept. */
  get<Value>(key: string, make: () => Promise<Value>): Promise<Value>;
}

/** More models than one engine ever has; above this the oldest entries go. */
const MAX_ENTRIES = 4_096;

export function createMemo(): Memo {
  const values = new Map<string, unknown>();
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
  };
}
