/** Waits for what no event tells: asks again every millisecond. @throws when it does not come true in time. */
export async function until(done: () => boolean, timeoutMs = 5_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${done}`);
    await Bun.sleep(1);
  }
}
