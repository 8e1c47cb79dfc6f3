/** The policy room: what strangers and clients may do here, as one sealed, versioned document (ADR 0010). */
export {
  HistoryQuery,
  NetworkInput,
  type PastPolicy,
  type PolicyApi,
  type PolicyChange,
  type PolicyHistory,
  PolicyInput,
  type PolicyReview,
  type PolicyVersion,
  type PolicyView,
  RollbackInput,
  type Whitelist,
} from './api';
export type { Known } from './keeper';
export { type CurrentPolicy, type Policy, PolicyDocument } from './model';
export type { Remark, Surroundings } from './rules';
export { POLICY_SCHEMA } from './schema';
export {
  createPolicies,
  type Examination,
  FIRST_POLICY,
  type Policies,
  type PoliciesOptions,
} from './service';
export { createPolicyStore, type PolicyStore } from './store';
