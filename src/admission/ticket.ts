/**
 * `admit` is the only maker of Tickets, and an engine call requires a Lease: no route can forget a check, and
 * whatever was taken is given back exactly once.
 */
import type {
  Cancel,
  Candidate,
  Clock,
  EngineGate,
  Entrant,
  Lease,
  LeaseOutcome,
  Plan,
  Principal,
  Seen,
  Ticket,
  TicketOutcome,
  Usage,
} from '../contract';
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import { addressOf, parseModelName } from '../lib/model-name';
import { after, type Limits, type Pass } from './limits';
import type { Slots } from './slots';

export interface Admission {
  /**
   * Lets a request in that may use `tokens`: the candidates the principal may use, or a refusal. Models come first, then
   * limits; whatever was counted is given back when the request is not let in.
   * @throws FORBIDDEN without the scope `inference`; MODEL_NOT_ALLOWED, MODEL_NOT_IN_POLICY when no candidate is on the key's list or on the
   * policy's; RATE_LIMITED, TOKENS_LIMITED, TOO_MANY_PARALLEL; POLICY_UNREADABLE
   */
  admit(entrant: Entrant, principal: Principal, plan: Plan, tokens: number): Ticket | Promise<Ticket>;
  /** Whether a body is worth reading; counts nothing. @throws RATE_LIMITED when `admit` would whatever it holds; POLICY_UNREADABLE */
  precheck(entrant: Entrant, principal: Principal): void;
  /** Counts a request for which no engine is asked. @throws RATE_LIMITED, POLICY_UNREADABLE */
  count(entrant: Entrant, principal: Principal): void | Promise<void>;
  /** What a principal may use of all there is; null: everything. @throws POLICY_UNREADABLE */
  allowedFor(principal: Principal): Allowed | null;
  /** Whether it matters how many tokens a request may use. */
  metersTokens(principal: Principal): boolean;
  /** Tickets and Leases that are open now: both are zero when nothing runs. */
  open(): { readonly tickets: number; readonly leases: number };
}

/** Whether a candidate that was asked for as `asked` may be used; null: the name itself, whatever it means. */
export interface Allowed {
  (candidate: Candidate | null, asked: string): boolean;
  /** That the key has no list of its own: what is not allowed, the policy refuses. */
  readonly isOfPolicy?: boolean;
}

export interface AdmissionOptions {
  readonly slots: Slots;
  readonly limits: Limits;
  readonly gate: EngineGate;
  readonly isAlias: IsAlias;
  readonly clock: Clock;
  readonly bus: Bus;
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { limits, isAlias } = options;
  const parts: Parts = { ...options, count: { tickets: 0, leases: 0 } };

  function listsOf(principal: Principal): readonly ModelList[] {
    const { models } = limits.policy().document;
    const own = principal.models;
    if (models === undefined) return own === null ? NO_LISTS : [principal];
    return own === null ? [{ models }] : [principal, { models }];
  }

  return {
    admit(entrant, principal, plan, tokens) {
      if (!principal.scopes.has('inference'))
        throw new FlmError('FORBIDDEN', { meta: { scope: 'inference' } });
      const allowed = allowedPlan(listsOf(principal), plan, isAlias);
      if (allowed === null) {
        const ofKey = principal.models === null ? plan : allowedPlan([principal], plan, isAlias);
        const code = ofKey === null ? 'MODEL_NOT_ALLOWED' : 'MODEL_NOT_IN_POLICY';
        throw new FlmError(code, { meta: { model: plan.requested }, param: 'model' });
      }
      return after(
        limits.enter(entrant, principal, tokens),
        (pass) => new OpenTicket(entrant.id, principal, allowed, pass, parts),
      );
    },

    precheck: limits.precheck,
    count: (entrant, principal) => after(limits.enter(entrant, principal, null), (pass) => pass.close(null)),

    allowedFor(principal) {
      const lists = listsOf(principal);
      if (lists.length === 0) return null;
      const allowed: Allowed = (candidate, asked) =>
        lists.every((list) => mayUse(list, candidate, asked, isAlias));
      return principal.models === null ? Object.assign(allowed, { isOfPolicy: true }) : allowed;
    },

    metersTokens: limits.metersTokens,
    open: () => ({ ...parts.count }),
  };
}

/** A key's list of models, or the policy's. */
type ModelList = Pick<Principal, 'models'>;
const NO_LISTS: readonly ModelList[] = [];

interface Counts {
  tickets: number;
  leases: number;
}

interface Parts extends AdmissionOptions {
  readonly count: Counts;
}

class OpenTicket implements Ticket {
  readonly id: string;
  readonly principal: Principal;
  readonly plan: Plan;
  readonly #pass: Pass;
  readonly #parts: Parts;
  readonly #startedMs: number;
  /** Leases that are open or waited for; -1 once the Ticket is closed. */
  #leases = 0;
  /** Whether an engine may have used tokens of which nobody has told. */
  #mayHaveWorked = false;

  constructor(id: string, principal: Principal, plan: Plan, pass: Pass, parts: Parts) {
    this.id = id;
    this.principal = principal;
    this.plan = plan;
    this.#pass = pass;
    this.#parts = parts;
    this.#startedMs = parts.clock.monotonicMs();
    parts.count.tickets++;
  }

  lease(candidate: Candidate, signal: Cancel): Lease | Promise<Lease> {
    if (this.#leases < 0) throw closedTwice('Ticket', this.id);
    const waited = this.#parts.slots.acquire(candidate.engine.id, signal);
    this.#leases++;
    if (typeof waited === 'number') return this.#open(candidate, waited);
    return waited.then(
      (waitedMs) => this.#open(candidate, waitedMs),
      (reason: unknown) => {
        this.#leases--;
        throw reason;
      },
    );
  }

  /** After the wait: the engine may have failed meanwhile. */
  #open(candidate: Candidate, waitedMs: number): Lease {
    const { gate, slots } = this.#parts;
    try {
      gate.enter(candidate);
    } catch (error) {
      this.#leases--;
      slots.release(candidate.engine.id, null);
      throw error;
    }
    return new OpenLease(this, candidate, waitedMs, this.#parts);
  }

  close(outcome: TicketOutcome, usage: Usage | null, sent = 0): void {
    if (this.#leases !== 0) throw closedTwice('Ticket', this.id);
    this.#leases = -1;
    const { clock, bus, count } = this.#parts;
    count.tickets--;
    const tokens = usage === null ? (this.#mayHaveWorked ? null : 0) : tokensIn(usage);
    this.#pass.close(tokens, sent + (usage?.promptTokens ?? 0));
    bus.publish({
      name: 'ticket.closed',
      requestId: this.id,
      principalId: this.principal.id,
      model: this.plan.requested,
      outcome,
      durationMs: clock.monotonicMs() - this.#startedMs,
      usage,
    });
  }

  /** A Lease gives its slot back. */
  returned(outcome: LeaseOutcome, seen: Seen | null): void {
    this.#leases--;
    // Who leaves before the end has used what was reserved, as far as anybody knows. An engine that refuses has not worked.
    if (outcome === 'aborted' || (outcome === 'done' && (seen?.status ?? 0) < 400))
      this.#mayHaveWorked = true;
  }
}

function tokensIn({ promptTokens, completionTokens }: Usage): number {
  return promptTokens + completionTokens;
}

class OpenLease implements Lease {
  readonly candidate: Candidate;
  readonly waitedMs: number;
  readonly #ticket: OpenTicket;
  readonly #parts: Parts;
  readonly #startedMs: number;
  #closed = false;
  #answered = false;

  constructor(ticket: OpenTicket, candidate: Candidate, waitedMs: number, parts: Parts) {
    this.candidate = candidate;
    this.waitedMs = waitedMs;
    this.#ticket = ticket;
    this.#parts = parts;
    this.#startedMs = parts.clock.monotonicMs();
    parts.count.leases++;
  }

  answered(): void {
    if (this.#answered || this.#closed) return;
    this.#answered = true;
    this.#parts.gate.answered(this.candidate);
  }

  close(outcome: LeaseOutcome, seen: Seen | null): void {
    const { id: requestId } = this.#ticket;
    if (this.#closed) throw closedTwice('Lease', requestId);
    this.#closed = true;
    const { clock, bus, slots, gate, count } = this.#parts;
    const { candidate, waitedMs } = this;
    const durationMs = clock.monotonicMs() - this.#startedMs;
    const engineId = candidate.engine.id;
    count.leases--;
    this.#ticket.returned(outcome, seen);
    gate.leave(candidate, outcome, durationMs, seen, this.#answered);
    slots.release(engineId, durationMs);
    bus.publish({
      name: 'attempt.finished',
      requestId,
      engineId,
      model: candidate.model,
      outcome,
      waitedMs,
      durationMs,
      firstTokenMs: seen?.firstTokenMs ?? null,
      usage: seen?.usage ?? null,
    });
  }
}

/** Whether a name is an alias at this moment: then it means its targets, and no model that is called so. */
export type IsAlias = (name: string) => boolean;

/**
 * Whether a key's list lets it use a candidate that was asked for as `asked`: by the engine's own name for the model, or
 * by what was asked for, each plain or as an address of the engine. A plain name that an alias holds means the alias
 * alone, an address never means an alias; `*` alone means everything. Without a candidate: whether by what was asked for.
 * @throws INVALID_MODEL
 */
export function mayUse(
  { models }: Principal | ModelList,
  candidate: Candidate | null,
  asked: string,
  isAlias: IsAlias,
): boolean {
  if (models === null) return true;
  const names = namesFor(candidate, asked, isAlias);
  return models.some((pattern) => pattern === '*' || matches(pattern, names));
}

interface Names {
  readonly plain: readonly string[];
  readonly addresses: readonly string[];
}

/** What a list can call the candidate for which `asked` stands. */
function namesFor(candidate: Candidate | null, asked: string, isAlias: IsAlias): Names {
  const own = candidate === null ? [] : [candidate.model];
  const addressesOf = (names: readonly string[]) =>
    candidate === null ? [] : names.map((name) => addressOf(candidate.engine.id, name));
  const notHeld = (name: string) => !isAlias(name);
  if (isAlias(asked)) return { plain: [asked, ...own.filter(notHeld)], addresses: addressesOf(own) };
  const name = parseModelName(asked);
  const plain = [...own, name.model];
  const addresses = name.kind === 'address' ? [...addressesOf(own), asked] : addressesOf(plain);
  return { plain: plain.filter(notHeld), addresses };
}

/** `f*` is the beginning of plain names: what every address begins with says nothing. */
function matches(pattern: string, { plain, addresses }: Names): boolean {
  const names = pattern.startsWith('flm://') ? addresses : plain;
  if (!pattern.endsWith('*')) return names.includes(pattern);
  return names.some((name) => name.startsWith(pattern.slice(0, -1)));
}

/** The plan without the candidates that a list leaves out; null when none remains. */
function allowedPlan(lists: readonly ModelList[], plan: Plan, isAlias: IsAlias): Plan | null {
  if (lists.length === 0) return plan;
  const { requested } = plan;
  const candidates = plan.candidates.filter((each) =>
    lists.every((list) => mayUse(list, each, requested, isAlias)),
  );
  return candidates.length === 0 ? null : { ...plan, candidates };
}

function closedTwice(what: 'Lease' | 'Ticket', requestId: string): FlmError {
  const cause = new Error(`${what} of request ${requestId} was closed twice, or its Ticket before its Lease`);
  return new FlmError('INTERNAL_ERROR', { cause });
}
