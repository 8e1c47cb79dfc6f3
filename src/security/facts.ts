/** What detectors look at: one request of somebody who was not recognised, and what their address did lately. */
import { isHoneypot } from './honeypots';

export interface Facts {
  readonly method: string;
  /** As it was sent, without the query. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  /** Path and query with their percent-encoding undone, twice, in lower case. */
  readonly text: string;
  /** Null when there is none. */
  readonly userAgent: string | null;
  readonly headers: number;
  /** Length of the body as announced. */
  readonly bodyBytes: number;
  /** Whether anything was shown that could be a key. */
  readonly hasCredentials: boolean;
  /** A browser asks whether a page may ask. */
  readonly isPreflight: boolean;
  readonly isHoneypot: boolean;
  /** Of the answer. */
  readonly status: number;
}

/** What an address did lately, this request included. */
export interface Recent {
  readonly requestsThisSecond: number;
  readonly requestsThisMinute: number;
  /** Different paths of this minute where nothing is, and no client looks for anything. */
  readonly strangePaths: number;
  /** Whether this request is the first of this minute for such a path. */
  readonly isNewStrangePath: boolean;
  /** OPTIONS of this minute that were no preflights. */
  readonly options: number;
  /** The rate from which on requests are an anomaly. */
  readonly requestsPerSecondLimit: number;
}

/** What is looked at of a path and a query. */
const MAX_CHARS = 4_096;

export function factsOf(request: Request, status: number): Facts {
  const { method, url, headers } = request;
  const [path, query] = targetIn(url);
  let count = 0;
  for (const _ of headers.keys()) count++;
  return {
    method,
    path,
    query,
    text: decoded(decoded(query === '' ? path : `${path}?${query}`.slice(0, MAX_CHARS))).toLowerCase(),
    userAgent: headers.get('user-agent'),
    headers: count,
    bodyBytes: Number(headers.get('content-length') ?? 0) || 0,
    hasCredentials: showsCredentials(request),
    isPreflight: isPreflight(request),
    isHoneypot: isHoneypot(path),
    status,
  };
}

export function showsCredentials({ headers }: Request): boolean {
  return headers.has('authorization') || headers.has('x-api-key');
}

/** Fetch §4.8: it names the method that is to come. */
export function isPreflight({ method, headers }: Request): boolean {
  return method === 'OPTIONS' && headers.has('origin') && headers.has('access-control-request-method');
}

/** Path and query of what the runtime says the URL is: absolute, or a bare path (gateway/edge). */
function targetIn(url: string): readonly [path: string, query: string] {
  const start = pathStart(url);
  const target = url.slice(start, start + MAX_CHARS);
  const mark = target.indexOf('?');
  return mark === -1 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}

/** Where the path begins in a URL. */
export function pathStart(url: string): number {
  if (url.startsWith('/')) return 0;
  const start = url.indexOf('/', url.indexOf('://') + 3);
  return start === -1 ? url.length : start;
}

/** Each percent-encoding that is one is undone, and nothing else: what is sent to break decoders is left as it is. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}
