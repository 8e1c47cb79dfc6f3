/** Limits that nobody has, for tests of what comes after them. */
import type { Limits } from '../../src/admission/limits';
import type { PolicyDocument } from '../../src/policy/model';

/** Lets everybody in; `document` says which models there are to be used. */
export function noLimits(document: PolicyDocument = {}): Limits {
  const policy = { version: 1, document };
  return {
    enter: () => ({ close() {} }),
    precheck() {},
    look() {},
    stranger() {},
    metersTokens: () => false,
    policy: () => policy,
    parallel: () => 0,
    pause() {},
    resume() {},
    close() {},
  };
}
