/** All of src/lib/client-ip.test.ts, with a million cases. */
process.env.FLM_TEST_SLOW = '1';
// Not above: the counts are read while it loads.
await import('../../src/lib/client-ip.test');

export {};
