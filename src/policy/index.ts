/** The policy room: the document and its versions. */
export type { CurrentPolicy, Policy, PolicyDocument } from './model';
