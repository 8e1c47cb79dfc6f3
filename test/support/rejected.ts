/** What a promise was rejected with, whatever it is; a word in its place when it was not. */
export function thrown(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );
}
