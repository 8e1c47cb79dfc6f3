/**
 * How an admin route says which scope it needs: `{ scope: 'keys:write' }` beside its schemas. The check runs before the
 * body is parsed or validated, and the scope is written into the OpenAPI document, where tests find routes without one.
 */
import { Elysia } from 'elysia';
import type { Principal, Scope } from '../contract';
import { FlmError } from './errors';

/** For every Elysia of the admin API: a field that a schema does not know is refused, not dropped without a word. */
export const STRICT = { normalize: false } as const;

/** The OpenAPI field that names a route's scope. */
export const SCOPE_FIELD = 'x-flm-scope';

/** The plugin a room's routes use. `principalOf` tells who sent a request, or throws when nobody known did. */
export function createScopeGuard(principalOf: (request: Request) => Principal) {
  return new Elysia({ name: 'scope-guard' }).macro('scope', (scope: Scope) => {
    const check = ({ request }: { request: Request }) => {
      if (!principalOf(request).scopes.has(scope)) throw new FlmError('FORBIDDEN', { meta: { scope } });
    };
    return {
      // `parse` runs before a body is looked at and is skipped without one; `transform` always runs.
      parse: check,
      transform: check,
      detail: { description: `Scope: \`${scope}\``, [SCOPE_FIELD]: scope },
    };
  });
}

export type ScopeGuard = ReturnType<typeof createScopeGuard>;
