/** The page at `/swagger`: Swagger UI and the document, all from inside FLM. Nothing of it is loaded from elsewhere. */
import { isAbsolute, join } from 'node:path';
import type { AnyElysia } from 'elysia';
import css from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' };
import ui from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' };
import { documentOf } from './document';
import { PAGE } from './page';
import script from './page.client.js' with { type: 'text' };

/** Styles are set by scripts all over the page; scripts come from here alone, and may speak to nobody else. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Answers a path at or below `/swagger`, or null when there is nothing. */
export async function createPages(
  routes: AnyElysia,
  version: string,
): Promise<(path: string) => Response | null> {
  const document = await documentOf(routes, version);
  return (path) => {
    switch (path) {
      case '/swagger':
      case '/swagger/':
        return asset(PAGE, 'text/html; charset=utf-8');
      case '/swagger/page.js':
        return asset(script, 'text/javascript; charset=utf-8');
      case '/swagger/ui.js':
        return asset(embedded(ui), 'text/javascript; charset=utf-8');
      case '/swagger/ui.css':
        return asset(embedded(css), 'text/css; charset=utf-8');
      case '/swagger/json':
        return Response.json(document);
      default:
        return null;
    }
  };
}

/** In the npm package the path is one from where this script lies. */
function embedded(path: string): Blob {
  return Bun.file(isAbsolute(path) ? path : join(import.meta.dir, path));
}

function asset(body: string | Blob, type: string): Response {
  return new Response(body, {
    headers: { 'content-type': type, 'content-security-policy': CSP, 'referrer-policy': 'no-referrer' },
  });
}
