/** Tests that need something this machine may lack: skipped loudly, or failed where everything is demanded. */

import { appendFileSync } from 'node:fs';

/** Whether a lack is a failure: FLM_TEST_REQUIRE_ALL=1. */
export const REQUIRE_ALL = process.env.FLM_TEST_REQUIRE_ALL === '1';

/**
 * For `test.skipIf(isMissing(…))`: says what is not tested when `reason` is one.
 * @throws instead, when everything is demanded
 */
export function isMissing(what: string, reason: string | null): boolean {
  if (reason === null) return false;
  if (REQUIRE_ALL) throw new Error(`${what} must be tested (FLM_TEST_REQUIRE_ALL=1): ${reason}`);
  tellSkipped(`${what} (${reason})`);
  return true;
}

/**
 * The same for what no package brings: a right this machine does not give, or a program that takes too long to build. Never a
 * failure.
 */
export function isImpossible(what: string, reason: string | null): boolean {
  if (reason === null) return false;
  tellSkipped(`${what} (${reason})`);
  return true;
}

/** Says what is not tested: at once, or at the end of all stages where test/run.ts keeps a file for it. */
export function tellSkipped(line: string): void {
  const file = process.env.FLM_TEST_MISSING;
  if (file === undefined) console.warn(`SKIPPED, not tested: ${line}`);
  else appendFileSync(file, `${line.replaceAll('\n', ' ')}\n`);
}

/** Why a program cannot be used, or null when it is on the PATH. */
export function lacksProgram(name: string): string | null {
  return Bun.which(name) === null ? `${name} is not installed` : null;
}
