/** Who is asking: one type for the owner at the socket, API keys and (later) operators and devices. */

/** What a principal may do. A route names exactly one; the owner has them all. */
export type Scope =
  | 'inference'
  | 'engine-admin'
  | 'metrics'
  | 'status:read'
  | 'models:read'
  | 'models:write'
  | 'engines:read'
  | 'engines:write'
  | 'keys:read'
  | 'keys:write'
  | 'config:read'
  | 'config:write'
  | 'proxies:read'
  | 'proxies:write'
  | 'audit:read'
  | 'audit:write'
  | 'activity:read'
  | 'activity:write'
  | 'policy:read'
  | 'policy:write'
  | 'security:read'
  | 'security:write'
  | 'alerts:read'
  | 'alerts:write'
  | 'certs:read'
  | 'certs:write'
  | 'admin:write';

export interface Principal {
  readonly kind: 'owner' | 'operator' | 'key' | 'device';
  /** `owner`, or the id of the key, operator or device: safe to log. */
  readonly id: string;
  /** The name a person gave it. */
  readonly label: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Names it may use (of models, aliases, flm:// addresses; `*` at the end matches the rest); null = all. */
  readonly models: readonly string[] | null;
}
