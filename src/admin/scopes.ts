/** What the two kinds of visitors of the admin API may do. */
import type { Principal, Scope } from '../contract';

const ALL_SCOPES: ReadonlySet<Scope> = new Set<Scope>([
  'inference',
  'engine-admin',
  'metrics',
  'status:read',
  'models:read',
  'models:write',
  'engines:read',
  'engines:write',
  'keys:read',
  'keys:write',
  'config:read',
  'config:write',
  'proxies:read',
  'proxies:write',
  'audit:read',
  'audit:write',
  'activity:read',
  'activity:write',
  'policy:read',
  'policy:write',
  'security:read',
  'security:write',
  'alerts:read',
  'alerts:write',
  'certs:read',
  'certs:write',
  'admin:write',
]);

/** A session makes no sessions: one that was stolen ends when its time is over. */
export const SESSION_SCOPES: ReadonlySet<Scope> = new Set(
  [...ALL_SCOPES].filter((scope) => scope !== 'admin:write'),
);

/** Whoever can open the socket. */
export const OWNER: Principal = {
  kind: 'owner',
  id: 'owner',
  label: 'owner',
  scopes: ALL_SCOPES,
  models: null,
};
