/** All of src/security/service.test.ts, with 100,000 refusals and 100,000 sources. */
process.env.FLM_TEST_SLOW = '1';
// Not above: the counts are read while it loads.
await import('../../src/security/service.test');

export {};
