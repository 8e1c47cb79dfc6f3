/** Tests that need something this machine may lack: skipped loudly, or failed where everything is demanded. */

/** Whether a lack is a failure: FLM_TEST_REQUIRE_ALL=1. */
export const REQUIRE_ALL = process.env.FLM_TEST_REQUIRE_ALL === '1';

/**
 * For `test.skipIf(isMissing(…))`: says what is not tested when `reason` is one.
 * @throws instead, when everything is demanded
 */
export function isMissing(what: string, reason: string | null): boolean {
  if (reason === null) return false;
  if (REQUIRE_ALL) throw new Error(`${what} must be tested (FLM_TEST_REQUIRE_ALL=1): ${reason}`);
  console.warn(`SKIPPED, not tested: ${what}. ${reason}`);
  return true;
}

/** Why a program cannot be used, or null when it is on the PATH. */
export function lacksProgram(name: string): string | null {
  return Bun.which(name) === null ? `${name} is not installed` : null;
}
