/** The OpenAPI document of the admin API. The only file that knows @elysiajs/swagger; loaded when first asked for. */
import { swagger } from '@elysiajs/swagger';
import { type AnyElysia, Elysia } from 'elysia';

/** Answers `/swagger` (a page) and `/swagger/json` (the document) for the given routes. */
export function createOpenApi(routes: AnyElysia, version: string): (request: Request) => Promise<Response> {
  const app = new Elysia()
    .use(
      swagger({
        path: '/swagger',
        exclude: ['/swagger', '/swagger/json'],
        documentation: {
          openapi: '3.1.0',
          info: {
            title: 'FLM admin API',
            version,
            description: 'Manages FLM. Each operation names the scope it needs in x-flm-scope.',
          },
        },
      }),
    )
    .use(routes);
  return async (request) => app.handle(request);
}
