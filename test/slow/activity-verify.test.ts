/** All of src/activity/verify.test.ts, with 100,000 rows. */
process.env.FLM_TEST_SLOW = '1';
// Not above: the counts are read while it loads.
await import('../../src/activity/verify.test');

export {};
