/** What a call ends with, for tests of refusals. */
import { type ErrorCode, FlmError } from '../../src/lib/errors';

/** The FlmError that `run` throws or rejects with. Anything else, success included, fails the test. */
export async function errorOf(run: () => unknown): Promise<FlmError> {
  let result: unknown;
  try {
    result = await run();
  } catch (error) {
    if (error instanceof FlmError) return error;
    throw new Error(`it threw something that is no FlmError: ${String(error)}`, { cause: error });
  }
  throw new Error(`it threw nothing and gave ${Bun.inspect(result)}`);
}

/** Its code. */
export async function codeOf(run: () => unknown): Promise<ErrorCode> {
  return (await errorOf(run)).code;
}
