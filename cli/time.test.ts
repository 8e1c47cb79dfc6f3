import { expect, test } from 'bun:test';
import { join } from 'node:path';

/** In a process of its own: a time zone is read once. */
function localTimeIn(zone: string, iso: string): string {
  const code = `console.log((await import(${JSON.stringify(join(import.meta.dir, 'time.ts'))})).localTime(${JSON.stringify(iso)}))`;
  const { stdout } = Bun.spawnSync([process.execPath, '-e', code], { env: { TZ: zone } });
  return stdout.toString().trim();
}

test.each([
  ['UTC', '2026-11-23T19:02:59.999Z', '2026-11-23 19:02'],
  ['Asia/Tokyo', '2026-11-23T19:02:00.000Z', '2026-11-24 04:02'],
  ['America/New_York', '2026-01-01T04:05:00.000Z', '2025-12-31 23:05'],
])('in %s, %s is %s', (zone, iso, text) => {
  expect(localTimeIn(zone, iso)).toBe(text);
});
