/** Which methods a path takes, so that a wrong one is told from a wrong path. */

interface Route {
  readonly method: string;
  readonly path: string;
}

/** For a path: its methods, or null when no route has it. HEAD goes with GET. */
export function methodsOf(routes: readonly Route[]): (path: string) => readonly string[] | null {
  const patterns = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();
  for (const { method, path } of routes) {
    const bare = withoutSlash(path);
    const entry = patterns.get(bare) ?? { pattern: patternOf(bare), methods: new Set<string>() };
    patterns.set(bare, entry);
    entry.methods.add(method);
    if (method === 'GET') entry.methods.add('HEAD');
  }
  return (path) => {
    const found = [...patterns.values()].filter(({ pattern }) => pattern.test(withoutSlash(path)));
    return found.length === 0 ? null : [...new Set(found.flatMap(({ methods }) => [...methods]))].sort();
  };
}

/** `/api/v1/keys/:id/revoke` as what matches it. */
function patternOf(path: string): RegExp {
  const parts = path.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : RegExp.escape(part)));
  return new RegExp(`^${parts.join('/')}$`);
}

function withoutSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/$/, '') : path;
}
