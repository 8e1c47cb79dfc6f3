/** How often something is tried: `full` times by test/slow, where time is no matter; everywhere else `quick` times. */
export function often(quick: number, full: number): number {
  return process.env.FLM_TEST_SLOW === '1' ? full : quick;
}
