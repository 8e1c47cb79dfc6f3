/**
 * How an admin route says which scope it needs: `{ scope: 'keys:write' }` beside its schemas. The check runs before the
 * body is parsed or validated, and the scope is written into the OpenAPI document, where tests find routes without one.
 */
import { Elysia } from 'elysia';
import type { Principal, Scope } from '../contract';
import { FlmError } from './errors';

/** For every Elysia of the admin API: a field that a schema does not know is refused, not dropped without a word. */
export const STRICT = { normalize: false } as const;

/** The OpenAPI field in which a route whose answer is not always JSON lists its media types. */
export const MEDIA_FIELD = 'x-flm-media';

/** The OpenAPI field that names a route's scope. */
export const SCOPE_FIELD = 'x-flm-scope';

/** What stands in that field where no scope is needed, because nobody can be known yet. */
export const NO_SCOPE = 'none';

/** The plugin a room's routes use. `principalOf` tells who sent a request, or throws when nobody known did. */
export function createScopeGuard(principalOf: (request: Request) => Principal) {
  return (
    new Elysia({ name: 'scope-guard' })
      .macro('scope', (scope: Scope) => {
        const check = ({ request }: { request: Request }) => {
          if (!principalOf(request).scopes.has(scope))
            throw new FlmError('FORBIDDEN', { meta: { scope }, hint: HINT });
        };
        return {
          // `parse` runs before a body is looked at and is skipped without one; `transform` always runs.
          parse: ({ request }: { request: Request }) => {
            check({ request });
            requireJson(request);
          },
          transform: check,
          detail: { description: `Scope: \`${scope}\``, [SCOPE_FIELD]: scope },
        };
      })
      // For the one route by which a stranger becomes somebody.
      .macro('anonymous', (why: string) => ({
        parse: ({ request }: { request: Request }) => requireJson(request),
        detail: { description: why, security: [], [SCOPE_FIELD]: NO_SCOPE },
      }))
  );
}

const HINT = 'Use the flm command on the machine that runs FLM.';

/** @throws UNSUPPORTED_MEDIA_TYPE for a body that is not JSON as it stands */
function requireJson({ headers, body }: Request): void {
  if (body === null) return;
  const [type, coding] = [headers.get('content-type'), headers.get('content-encoding')];
  const isJson = /^application\/json\s*(?:;|$)/i.test(type ?? '');
  if (isJson && (coding === null || coding === 'identity')) return;
  const what = isJson ? `Content-Encoding ${coding}` : `a body of ${type ?? 'no type'}`;
  throw new FlmError('UNSUPPORTED_MEDIA_TYPE', { meta: { what } });
}

export type ScopeGuard = ReturnType<typeof createScopeGuard>;
