/** The routes of the API for clients (FLM-074, as design §3 has them). Mounted by the gateway alone. */
import { Elysia } from 'elysia';
import type { Allowed } from '../admission';
import { FlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import { INFERENCE_ROUTES } from './dialects';
import { failed, type RequestContext } from './edge';
import { ownHeaders } from './headers';
import { countStranger, type GatewayDeps, identify, identifyClient, infer } from './infer';
import { admitToMetrics } from './metrics-door';

export interface RoutesOptions {
  readonly deps: GatewayDeps;
  /** The catalogue as OpenAI's clients see it. */
  readonly catalogue: {
    /** The whole list as JSON; null stands for somebody who may use everything. */
    openAiListJson(allowed: Allowed | null): string;
    openAiModel(model: string, allowed: Allowed | null): Promise<unknown>;
  };
  /** What FLM counts, as text for Prometheus. */
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
  /** Whether at least one engine can be asked. */
  readonly isReady: () => boolean;
  readonly log: Log;
}

type Handle = (context: RequestContext) => Response | Promise<Response>;

/** Answers requests that the edge has let through. */
export function createRoutes({ deps, catalogue, metrics, isReady, log }: RoutesOptions): Handle {
  // Elysia calls a handler before its fetch returns, so whatever stands here then is the handler's own.
  let arriving: RequestContext | null = null;

  const route = (handle: Handle) => () => {
    const context = arriving;
    if (context === null) throw new FlmError('INTERNAL_ERROR');
    try {
      const answer = handle(context);
      return answer instanceof Promise
        ? answer.catch((error: unknown) => failed(error, context, log))
        : answer;
    } catch (error) {
      return failed(error, context, log);
    }
  };
  /** What somebody may see of the models. It counts as a request. */
  async function allowedOf(context: RequestContext): Promise<Allowed | null> {
    const principal = identifyClient(context, deps);
    await deps.admission.count(context, principal);
    return deps.admission.allowedFor(principal);
  }

  // The body is read after authentication, by the handler itself.
  const unparsed = { parse: 'none' } as const;

  const app = new Elysia({ handler: { standardHostname: false } })
    .get(
      '/health',
      route((context) => json({ status: 'ok' }, context)),
    )
    .get(
      '/ready',
      route((context) => {
        if (context.door.stance === 'draining') return json({ status: 'draining' }, context, 503);
        return isReady()
          ? json({ status: 'ready' }, context)
          : json({ status: 'no engine runs' }, context, 503);
      }),
    )
    .get(
      '/metrics',
      route(async (context) => {
        admitToMetrics(context, deps);
        const { type, text } = await metrics();
        return new Response(text, { headers: { ...ownHeaders(context.id), 'content-type': type } });
      }),
    )
    .get(
      '/v1/models',
      route(async (context) => {
        const allowed = await allowedOf(context);
        return jsonText(catalogue.openAiListJson(allowed), context);
      }),
    )
    .get(
      '/v1/models/*',
      route(async (context) => {
        const allowed = await allowedOf(context);
        return json(await catalogue.openAiModel(modelIn(context.request), allowed), context);
      }),
    )
    .all(
      '/v1/*',
      route(async (context) => {
        // Strangers learn nothing about which routes exist.
        const principal = identify(context, deps);
        await deps.admission.count(context, principal);
        throw notFound(context);
      }),
      unparsed,
    )
    .all(
      '/*',
      route((context) => {
        countStranger(context, deps);
        throw notFound(context);
      }),
      unparsed,
    );
  for (const path of INFERENCE_ROUTES) {
    app.post(
      path,
      route((context) => infer(context, path, deps)),
      unparsed,
    );
  }
  const { fetch } = app.compile();

  return (context) => {
    arriving = context;
    try {
      return fetch(context.request);
    } finally {
      arriving = null;
    }
  };
}

/** The model's name in the path; it may hold slashes, written as they are or as %2F. @throws INVALID_MODEL */
function modelIn(request: Request): string {
  const { pathname } = new URL(request.url);
  try {
    return decodeURIComponent(pathname.slice('/v1/models/'.length));
  } catch {
    throw new FlmError('INVALID_MODEL', {
      meta: { reason: 'its percent-encoding is broken' },
      param: 'model',
    });
  }
}

const METHODS: ReadonlyMap<string, string> = new Map([
  ...INFERENCE_ROUTES.map((path) => [path, 'POST'] as const),
  ['/v1/models', 'GET'],
  ['/health', 'GET'],
  ['/ready', 'GET'],
  ['/metrics', 'GET'],
]);

function notFound({ request, door }: RequestContext): FlmError {
  const { pathname: path, host } = new URL(request.url);
  // Behind the TLS front every URL begins with http.
  const origin = `${door.isTls === true ? 'https' : 'http'}://${host}`;
  const method = METHODS.get(path);
  // The same path and method and yet no route: the target holds a fragment, which no target may.
  if (method === undefined || method === request.method) {
    const hint = baseUrlHint(path, origin);
    return new FlmError('NOT_FOUND', { meta: { path }, ...(hint === null ? {} : { hint }) });
  }
  const allow = method === 'GET' ? 'GET, HEAD' : method;
  const hint = `Use ${method}.`;
  return new FlmError('METHOD_NOT_ALLOWED', { meta: { path, method: request.method, allow }, hint });
}

/** What is wrong with the base URL of a client that asks for such a path; null when it is not that. */
function baseUrlHint(path: string, origin: string): string | null {
  const isBase = path === '/' || path === '/v1' || path === '/v1/';
  if (isBase || METHODS.has(`/v1${path}`) || path.startsWith('/models/'))
    return `The base URL ends in /v1: ${origin}/v1`;
  // Anthropic's clients add /v1 themselves.
  if (path.startsWith('/v1/v1/')) return `The base URL of this client ends before /v1: ${origin}`;
  return null;
}

function json(body: unknown, context: RequestContext, status = 200): Response {
  return jsonText(JSON.stringify(body), context, status);
}

function jsonText(text: string, { id }: RequestContext, status = 200): Response {
  return new Response(text, {
    status,
    headers: { ...ownHeaders(id), 'content-type': 'application/json' },
  });
}
