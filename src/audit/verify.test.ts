/** Whatever is done to a chain behind FLM's back, the first row that is not as it was written is named. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { ATTACKS, attacked, fill, type TestChain, testChain } from '../../test/support/audit-chain';
import { examine } from './verify';

const ROWS = 2_500;
const PLACES = 8;
const noPause = async () => {};

let chain: TestChain;

beforeAll(async () => {
  chain = await testChain();
  fill(chain, ROWS);
});
afterAll(() => chain[Symbol.asyncDispose]());

const look = () => examine(chain.store, chain.writer, [], noPause);

test('finds nothing in a chain as it was written', async () => {
  expect(await look()).toMatchObject({ rows: ROWS, finding: null, erased: 0 });
});

test('finds nothing in a chain without a row', async () => {
  await using empty = await testChain();
  expect(await examine(empty.store, empty.writer, [], noPause)).toMatchObject({ rows: 0, finding: null });
});

describe('names the row when somebody', () => {
  test.each(ATTACKS.map((attack) => [attack.name, attack] as const))('%s', async (_name, attack) => {
    const anywhere = fc.oneof(fc.constantFrom(1, 2, 3, ROWS - 1, ROWS), fc.integer({ min: 1, max: ROWS }));
    await fc.assert(
      fc.asyncProperty(anywhere, async (at) => {
        let expected: unknown = null;
        const { finding } = await attacked(
          chain,
          () => {
            expected = attack.run(chain, at, ROWS);
          },
          look,
        );
        expect<unknown>({ problem: finding?.problem, seq: finding?.seq }).toEqual(expected);
      }),
      { numRuns: PLACES },
    );
  });
});

test('lets others work between slices', async () => {
  let pauses = 0;
  await examine(chain.store, chain.writer, [], async () => {
    pauses++;
  });
  expect(pauses).toBe(Math.ceil(ROWS / 128));
});
