/** Paths where FLM has nothing and that honest programs ask for all the same: browsers, crawlers, clients of other APIs. */

const PATHS: ReadonlySet<string> = new Set([
  '/',
  '/favicon.ico',
  '/robots.txt',
  '/sitemap.xml',
  '/manifest.json',
  '/site.webmanifest',
  '/browserconfig.xml',
  '/humans.txt',
  '/security.txt',
  '/ads.txt',
  // Health checkers
  '/ping',
  '/status',
  '/version',
  '/livez',
  '/readyz',
  '/healthz',
  '/health/live',
  '/health/ready',
  '/health/readiness',
  '/health/liveliness',
  '/props',
  '/slots',
  // People who look around
  '/docs',
  '/redoc',
  '/swagger',
  '/console',
  '/openapi.json',
  '/api',
  '/api/v1',
]);

/** APIs of engines and gateways, with a base URL that is not quite right. */
const APIS =
  /^\/(?:v1|v1beta|v2|openai|anthropic|api\/(?:tags|chat|generate|version|show|ps|embed|embeddings|pull|push|create|copy|delete|blobs|v0|v1)|chat\/completions|completions?|embeddings?|models|responses|messages|rerank|audio|images|files|batches|moderations|tokenize|detokenize|infill|\.well-known|apple-touch-icon[^/]*)(?:\/|$)/;

/** Whether a path where nothing is tells of somebody who tries what there may be. */
export function isStrangePath(path: string): boolean {
  return !PATHS.has(path) && !APIS.test(path);
}
