/** The limits of keys, of addresses, and of all clients together. */
export { type Limit, limitOf } from './meter';
export type { LimitStore } from './model';
export { after, createLimits, type Limits, type Pass } from './service';
export { createLimitRows } from './store';
