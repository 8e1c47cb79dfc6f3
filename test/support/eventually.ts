/** For what nobody tells: looks again and again. */

const EVERY_MS = 10;

/** Resolves as soon as `holds` does. @throws when that takes longer than `withinMs` */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  withinMs = 10_000,
  everyMs = EVERY_MS,
): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`not within ${withinMs} ms: ${holds}`);
    await Bun.sleep(everyMs);
  }
}
