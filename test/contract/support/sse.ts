/** Event streams as a client sees them: whole events and the comments between them. */

export interface Events {
  /** What stood behind `data: `, event by event. */
  readonly data: readonly string[];
  /** Comments: FLM's pings. */
  readonly comments: readonly string[];
  /** What came after the last empty line. */
  readonly rest: string;
}

export function readStream(body: Buffer): Events {
  const parts = body.toString('utf8').split(/\r?\n\r?\n/);
  const rest = parts.pop() ?? '';
  const data = parts.flatMap((part) => /^data: ?(.*)/m.exec(part)?.[1] ?? []);
  const comments = parts.filter((part) => part.startsWith(':'));
  return { data, comments, rest };
}

/** The JSON in a text, or null: for answers that may be broken on purpose. */
export function jsonIn(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return asRecord(value);
  } catch {
    return null;
  }
}

export function asRecord(value: unknown): Record<string, unknown> | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
