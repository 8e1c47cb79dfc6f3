/** The way of one inference request, in the order that ORDER names and a test holds (design §2). */
import type { Allowed } from '../admission';
import type { ConfigSnapshot } from '../config';
import type {
  Clock,
  Entrant,
  InferenceRoute,
  Plan,
  Principal,
  RefusalReason,
  Screen,
  Ticket,
  Visit,
} from '../contract';
import type { Bus } from '../lib/bus';
import { type ErrorCode, FlmError } from '../lib/errors';
import { askInTurn, type EngineAccess, type Inference } from './attempt';
import { readBody } from './body';
import { DIALECTS, type Dialect, isAnthropic } from './dialects';
import type { RequestContext } from './edge';
import { estimateTokens } from './estimate';
import type { Exchanges } from './exchanges';
import { relayWhole } from './relay';
import { relayStream } from './relay-stream';
import { scanBody } from './scan';
import type { Tracing } from './tracing';

/**
 * Each step happens only after all before it. The last three repeat, candidate after candidate, until `relay` has
 * something for the client.
 */
export const ORDER = [
  'edge',
  'screen',
  'identify',
  'precheck',
  'read',
  'scan',
  'plan',
  'admit',
  'lease',
  'open',
  'relay',
] as const;

/** What the gateway needs of other rooms; app.ts hands it over. */
export interface GatewayDeps {
  readonly keys: {
    identify(
      authorization: string | null,
    ):
      | { readonly principal: Principal; readonly refusal: null }
      | { readonly principal: null; readonly refusal: RefusalReason };
    /** What was laid down for a key; null: nothing. */
    rulesOf(principal: Principal): { checkPlace(visit: Visit): void } | null;
    anyUsable(): boolean;
  };
  readonly models: {
    plan(model: string, route: InferenceRoute, allowed: Allowed | null): Plan | Promise<Plan>;
  };
  readonly screen: Screen;
  readonly admission: {
    precheck(entrant: Entrant, principal: Principal): void;
    admit(entrant: Entrant, principal: Principal, plan: Plan, tokens: number): Ticket | Promise<Ticket>;
    count(entrant: Entrant, principal: Principal): void | Promise<void>;
    allowedFor(principal: Principal): Allowed | null;
    metersTokens(principal: Principal): boolean;
  };
  readonly engines: EngineAccess;
  readonly exchanges: Exchanges;
  /** Null where FLM keeps no traces. */
  readonly tracing: Tracing | null;
  readonly config: () => ConfigSnapshot;
  /** The rate below which a body is given up; null: it may take its time. */
  readonly minBodyBytesPerSecond: () => number | null;
  readonly clock: Clock;
  readonly bus: Bus;
}

/**
 * Who is asking. Looks at headers only: nothing of the body has been read.
 * @throws INVALID_API_KEY, NO_API_KEYS; IP_BLOCKED, RATE_LIMITED in their place; KEY_ADDRESS_REFUSED, KEY_ORIGIN_REFUSED
 */
export function identify(context: RequestContext, { keys, screen, bus }: GatewayDeps): Principal {
  const { request, id, record } = context;
  const { principal, refusal } = keys.identify(authorizationOf(request));
  if (principal !== null) {
    record.principalId = principal.id;
    // A key in the wrong place may be in the wrong hands: that speaks for nobody's address.
    keys.rulesOf(principal)?.checkPlace(context);
    screen.known(context);
    return principal;
  }
  const { pathname: path } = new URL(request.url);
  bus.publish({ name: 'auth.refused', requestId: id, ip: record.ip, path, reason: refusal });
  screen.stranger(context, refusal);
  throw new FlmError(keys.anyUsable() ? 'INVALID_API_KEY' : 'NO_API_KEYS');
}

/**
 * On a path where nothing is, which is answered to everybody alike: whoever shows no valid key counts as a stranger there, too.
 * @throws IP_BLOCKED, RATE_LIMITED
 */
export function countStranger(context: RequestContext, { keys, screen }: GatewayDeps): void {
  const { refusal } = keys.identify(authorizationOf(context.request));
  if (refusal !== null) screen.stranger(context, refusal);
}

/** Somebody who may use models, and so may know which there are. @throws as identify; FORBIDDEN */
export function identifyClient(context: RequestContext, deps: GatewayDeps): Principal {
  const principal = identify(context, deps);
  if (!principal.scopes.has('inference')) throw new FlmError('FORBIDDEN', { meta: { scope: 'inference' } });
  return principal;
}

/** `Authorization`, or on Anthropic's routes, without one, what their clients send instead: `x-api-key`. */
function authorizationOf({ headers, url }: Request): string | null {
  const authorization = headers.get('authorization');
  if (authorization !== null || !isAnthropic(new URL(url).pathname)) return authorization;
  const key = headers.get('x-api-key');
  return key === null ? null : `Bearer ${key}`;
}

/**
 * Answers one inference request.
 * @throws FlmError while nothing has been sent; later failures are told inside the stream.
 */
export async function infer(
  context: RequestContext,
  route: InferenceRoute,
  deps: GatewayDeps,
): Promise<Response> {
  const principal = identifyClient(context, deps);
  const dialect: Dialect = DIALECTS[route];
  const { request, record } = context;
  record.path = route;
  deps.admission.precheck(context, principal);
  const exchange = deps.exchanges.open(record, principal.id, request.signal, context.door, context.peer);
  let inference: Inference;
  try {
    const body = await readBody(request, deps.config()['proxy.max_body_bytes'], exchange, deps);
    const isMetered = deps.admission.metersTokens(principal);
    const keys = isMetered ? dialect.meteredKeys : dialect.controlKeys;
    const scan = scanBody(body.text, body.units, keys);
    const streams = scan.stream && dialect.streams;
    record.model = scan.model;
    record.isStream = streams;
    const plan = await deps.models.plan(scan.model, route, deps.admission.allowedFor(principal));
    if (exchange.signal.aborted) throw exchange.signal.reason;
    const tokens = isMetered ? estimateTokens(body.text.length, scan.more, dialect) : 0;
    const admitted = deps.admission.admit(context, principal, plan, tokens);
    const ticket = admitted instanceof Promise ? await admitted : admitted;
    const repeatable = dialect.isRepeatable(scan.more);
    const { tracing } = deps;
    inference = { route, dialect, request, body, scan, streams, repeatable, ticket, exchange, tracing };
  } catch (error) {
    if (exchange.signal.aborted) record.ended('aborted', null, null);
    exchange.close();
    if (!exchange.signal.aborted && isMistake(error)) await deps.admission.count(context, principal);
    // A body whose client has left fails with an error of the runtime's, which would pass for one of FLM's.
    throw exchange.signal.aborted ? exchange.signal.reason : error;
  }
  context.keepOpen();
  return inference.streams ? relayStream(inference, deps) : askInTurn(inference, deps.engines, relayWhole);
}

/**
 * What a client got wrong. Such a request counts like one that is let in: else whoever has a key could try names for
 * nothing. It counts against nobody's address as an attack does; a typo is no reason for a ban.
 */
const MISTAKES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'INVALID_JSON',
  'INVALID_REQUEST',
  'DUPLICATE_KEY',
  'INVALID_MODEL',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'MODEL_NOT_FOUND',
  'MODEL_NOT_ALLOWED',
  'MODEL_NOT_IN_POLICY',
  'ENGINE_NOT_FOUND',
  'ROUTE_NOT_SUPPORTED',
]);

function isMistake(error: unknown): boolean {
  return error instanceof FlmError && MISTAKES.has(error.code);
}
