/** A fake engine that is closed at the end of the scope: `await using fake = await fakeEngine('llamacpp')`. */
import { type FakeEngine, type FakeKind, type FakeOptions, startFake } from '../fake';

export async function fakeEngine(
  kind: FakeKind,
  options: FakeOptions = {},
): Promise<FakeEngine & AsyncDisposable> {
  const fake = await startFake(kind, options);
  return { ...fake, [Symbol.asyncDispose]: () => fake.close() };
}

/** One header of a request that a fake has seen, whatever its case. */
export function headerOf(fake: FakeEngine, index: number, name: string): string | null {
  const pair = fake.requests.at(index)?.headers.find(([each]) => each.toLowerCase() === name);
  return pair?.[1] ?? null;
}
