/**
 * Web pages of other origins (FLM-087, HL-006; Fetch standard §3.3): which may read FLM's answers, and which are refused
 * (ADR 0012). What the policy says is taken apart once for each policy.
 */
import { FlmError } from '../lib/errors';
import { isOrigin, type OriginSet, parseOrigins } from '../lib/origins';
import type { CurrentPolicy, Policy } from '../policy';

export interface Cors {
  /**
   * Looks at a request before anybody asks who sends it.
   * @throws ORIGIN_NOT_ALLOWED when a page sent it that is not allowed and shows no key: pages can send such a request to
   * any address without asking.
   */
  admit(request: Request): void;
  /** The headers of the answer to a preflight, beside those that every answer gets. */
  preflight(request: Request): Record<string, string>;
  /** Tells browsers who may read an answer. Every answer goes through here, errors and streams too. */
  mark(request: Request, response: Response): void;
}

/** What one policy says. */
interface Rules {
  readonly policy: Policy | null;
  readonly origins: OriginSet;
  readonly methods: string;
  /** Null: whichever are asked for. */
  readonly headers: string | null;
  readonly withCredentials: boolean;
  readonly maxAge: string;
}

const METHODS = ['GET', 'POST', 'OPTIONS'];
const MAX_AGE_S = 3_600;
/** What scripts may read of an answer beside its body. Browsers hide every other header. */
const EXPOSED = [
  'x-request-id',
  'traceparent',
  'x-flm-engine',
  'retry-after',
  ...['limit', 'remaining', 'reset'].flatMap((what) => [
    `x-ratelimit-${what}`,
    `x-ratelimit-${what}-requests`,
    `x-ratelimit-${what}-tokens`,
  ]),
].join(', ');
/** RFC 9110 §5.6.2, a list of them: what browsers ask for. */
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/;
/** What pages in browsers have; `null` is that of a page in a sandbox. Extensions and desktop apps have others. */
const WEB = /^(?:https?:\/\/|null$)/;

export function createCors(policy: CurrentPolicy): Cors {
  let latest = derive(null);

  function rules(): Rules {
    const current = policy();
    if (current !== latest.policy) latest = derive(current);
    return latest;
  }

  return {
    admit(request) {
      const origin = request.headers.get('origin');
      if (origin === null || showsKey(request)) return;
      if (!WEB.test(origin) || isOwn(origin, request) || rules().origins.has(origin)) return;
      throw new FlmError('ORIGIN_NOT_ALLOWED', { meta: { origin: origin.slice(0, 200) } });
    },

    preflight({ headers }) {
      const { origins, methods, headers: names, maxAge } = rules();
      const origin = headers.get('origin');
      if (origin === null || !origins.has(origin)) return {};
      const answer: Record<string, string> = {
        'access-control-allow-methods': methods,
        'access-control-max-age': maxAge,
      };
      const asked = headers.get('access-control-request-headers') ?? '';
      // Asked for, a header is let through: FLM knows which of them reach an engine.
      const allowed = names ?? (HEADER_NAMES.test(asked) ? asked : '');
      if (allowed !== '') answer['access-control-allow-headers'] = allowed;
      if (names === null) answer.vary = 'Access-Control-Request-Headers';
      if (headers.get('access-control-request-private-network') === 'true')
        answer['access-control-allow-private-network'] = 'true';
      return answer;
    },

    mark(request, response) {
      const { origins, withCredentials } = rules();
      if (origins.isEmpty) return;
      const { headers } = response;
      // Also where there was no Origin: a cache must not give that answer to a page.
      headers.append('vary', 'Origin');
      const origin = request.headers.get('origin');
      if (origin === null || !origins.has(origin)) return;
      headers.set('access-control-allow-origin', origins.isAny ? '*' : origin);
      headers.set('access-control-expose-headers', EXPOSED);
      if (withCredentials) headers.set('access-control-allow-credentials', 'true');
    },
  };
}

function derive(policy: Policy | null): Rules {
  const cors = policy?.document.cors ?? {};
  // What is no origin allows nobody; the policy's own check refuses it before it gets here.
  const origins = parseOrigins((cors.allowed_origins ?? []).filter(isOrigin));
  const headers = cors.allowed_headers ?? ['*'];
  return {
    policy,
    origins,
    methods: (cors.allowed_methods ?? METHODS).join(', '),
    headers: headers.includes('*') ? null : headers.join(', '),
    // Everybody, with credentials: browsers refuse it, and so must whoever says it (HL-006).
    withCredentials: cors.allow_credentials === true && !origins.isAny,
    maxAge: String(cors.max_age_s ?? MAX_AGE_S),
  };
}

/** No page can send these to another origin unless a preflight has allowed it. */
function showsKey({ headers }: Request): boolean {
  return headers.get('authorization') !== null || headers.get('x-api-key') !== null;
}

/** Whether a page has come from FLM's own address, such as one that a reverse proxy serves beside it. */
function isOwn(origin: string, { headers }: Request): boolean {
  const scheme = origin.indexOf('://');
  return scheme !== -1 && origin.slice(scheme + 3) === headers.get('host')?.toLowerCase();
}
