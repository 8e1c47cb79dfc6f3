/**
 * The right to ask an engine. Beside tables of who is let in, a model of the whole: whatever is admitted, leased, left
 * and closed, in whatever order and while engines grow and shrink, every slot is given back exactly once.
 */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { noLimits } from '../../test/support/limits';
import { codeOf, errorOf } from '../../test/support/thrown';
import type {
  Candidate,
  Event,
  Lease,
  LeaseOutcome,
  Plan,
  Principal,
  Scope,
  Seen,
  Ticket,
  Usage,
} from '../contract';
import { createBus } from '../lib/bus';
import { CancelSource } from '../lib/cancel';
import { manualClock } from '../lib/clock';
import { FlmError } from '../lib/errors';
import { createSlots, type Slots } from './slots';
import { type Admission, createAdmission, mayUse } from './ticket';

const ENGINES = ['e1', 'e2'] as const;

function candidate(engine: string, model = 'm'): Candidate {
  return { engine: { id: engine, kind: 'openai', baseUrl: 'http://127.0.0.1:1', origin: 'manual' }, model };
}

function planFor(...candidates: Candidate[]): Plan {
  return { requested: 'm', candidates };
}

function principal(models: readonly string[] | null = null, scopes: Scope[] = ['inference']): Principal {
  return { kind: 'key', id: 'key1', label: 'l', scopes: new Set(scopes), models };
}

const isAlias = (name: string) => ['fast', 'faster', 'onlya', 'tagless'].includes(name);

/** Breakers that never open. */
const openGate = { enter: () => {}, answered: () => {}, leave: () => {} };

/** Lets a request in that is not measured, so that nothing has to be waited for. */
function admit(admission: Admission, id: string, who: Principal, plan: Plan): Ticket {
  const ticket = admission.admit({ id, ip: '192.0.2.1', quota: null }, who, plan, 0);
  if (ticket instanceof Promise) throw new Error('unreachable');
  return ticket;
}

function seen(status: number): Seen {
  return { status, firstTokenMs: null, usage: null };
}

function usage(promptTokens: number, completionTokens: number): Usage {
  return { promptTokens, completionTokens, cachedTokens: null, reasoningTokens: null };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

function fixture(capacity: (engine: string) => number = () => 1, limit = () => 2) {
  const clock = manualClock();
  const bus = createBus();
  const events: Event[] = [];
  bus.subscribe('ticket.closed', (event) => events.push(event));
  bus.subscribe('attempt.finished', (event) => events.push(event));
  const slots = createSlots({ clock, capacityOf: capacity, queueLimit: limit });
  return {
    clock,
    bus,
    events,
    slots,
    admission: createAdmission({ slots, limits: noLimits(), gate: openGate, isAlias, clock, bus }),
  };
}

describe('admit', () => {
  test('refuses a principal without the scope inference', async () => {
    const { admission } = fixture();
    const error = await errorOf(() =>
      admit(admission, 'r', principal(null, ['metrics']), planFor(candidate('e1'))),
    );
    expect([error.code, error.meta]).toEqual(['FORBIDDEN', { scope: 'inference' }]);
    expect(admission.open()).toEqual({ tickets: 0, leases: 0 });
  });

  test.each<[string, readonly string[] | null, string[] | null]>([
    ['every model', null, ['e1/a', 'e2/a', 'e2/b:7b']],
    ['a plain name, on every engine', ['a'], ['e1/a', 'e2/a']],
    ['an address, on that engine alone', ['flm://e2/a'], ['e2/a']],
    ['the beginning of a name', ['b:*'], ['e2/b:7b']],
    ['the beginning of an address', ['flm://e2/*'], ['e2/a', 'e2/b:7b']],
    ['everything', ['*'], ['e1/a', 'e2/a', 'e2/b:7b']],
    ['several', ['b:7b', 'flm://e1/a'], ['e1/a', 'e2/b:7b']],
    ['a star that is no pattern', ['*a'], null],
    ['another case', ['A'], null],
    ['a part of a name', ['b'], null],
    ['no model at all', [], null],
  ])('with a list of %s: %p', async (_, models, allowed) => {
    const { admission } = fixture();
    const plan = planFor(candidate('e1', 'a'), candidate('e2', 'a'), candidate('e2', 'b:7b'));
    if (allowed === null) {
      const error = await errorOf(() => admit(admission, 'r', principal(models), plan));
      expect([error.code, error.param, error.meta]).toEqual(['MODEL_NOT_ALLOWED', 'model', { model: 'm' }]);
      expect(admission.open()).toEqual({ tickets: 0, leases: 0 });
    } else {
      const ticket = admit(admission, 'r', principal(models), plan);
      expect(ticket.plan.candidates.map(({ engine, model }) => `${engine.id}/${model}`)).toEqual(allowed);
    }
    // What the lists of models show is what a request is let in for.
    const listed = plan.candidates.filter((each) => mayUse(principal(models), each, each.model, isAlias));
    expect(listed.map(({ engine, model }) => `${engine.id}/${model}`)).toEqual(allowed ?? []);
  });
});

test('the models of the policy are the only ones for everybody, beside the list of a key', async () => {
  const { slots, clock, bus } = fixture();
  const limits = noLimits({ models: ['a', 'b:*'] });
  const admission = createAdmission({ slots, limits, gate: openGate, isAlias, clock, bus });
  const plan = (model: string) => planFor(candidate('e1', model));
  expect(admit(admission, 'r1', principal(), plan('a')).plan.candidates.length).toBe(1);
  // Whose list it was is said, so that nobody looks for the fault at the key.
  expect(await codeOf(() => admit(admission, 'r2', principal(), plan('c')))).toBe('MODEL_NOT_IN_POLICY');
  expect(await codeOf(() => admit(admission, 'r4', principal(['c']), plan('c')))).toBe('MODEL_NOT_IN_POLICY');
  expect(admission.allowedFor(principal())?.isOfPolicy).toBe(true);
  expect(await codeOf(() => admit(admission, 'r3', principal(['b:*']), plan('a')))).toBe('MODEL_NOT_ALLOWED');
  const allowed = admission.allowedFor(principal(['b:*', 'c']));
  expect(allowed?.isOfPolicy).toBeUndefined();
  expect(['a', 'b:7b', 'c'].map((name) => allowed?.(candidate('e1', name), name))).toEqual([
    false,
    true,
    false,
  ]);
});

test.each<[string, LeaseOutcome, Seen | null, Usage | null, number | null]>([
  ['what the engine told', 'done', seen(200), usage(3, 4), 7],
  ['what was reserved, when it told nothing', 'done', seen(200), null, null],
  ['what was reserved, when the client left', 'aborted', null, null, null],
  ['what was told until the client left', 'aborted', seen(200), usage(1, 2), 3],
  ['nothing, when the engine refused', 'done', seen(400), null, 0],
  ['nothing, when the engine broke off', 'failed', null, null, 0],
])('a request has used %s', async (_, outcome, told, used, tokens) => {
  const { slots, clock, bus } = fixture();
  const closed: (number | null)[] = [];
  const limits = {
    ...noLimits(),
    enter: () => ({ close: (count: number | null) => void closed.push(count) }),
  };
  const admission = createAdmission({ slots, limits, gate: openGate, isAlias, clock, bus });
  const ticket = admit(admission, 'r', principal(), planFor(candidate('e1')));
  (await ticket.lease(candidate('e1'), new CancelSource())).close(outcome, told);
  ticket.close(outcome, used);
  expect(await codeOf(() => ticket.close(outcome, used))).toBe('INTERNAL_ERROR');
  expect(closed).toEqual([tokens]);
});

describe('the name that was asked for', () => {
  const allowed = (list: readonly string[], requested: string, ...candidates: Candidate[]) => {
    const { admission } = fixture();
    const plan = { requested, candidates };
    const ticket = admit(admission, 'r', principal(list), plan);
    return ticket.plan.candidates.map(({ engine, model }) => `${engine.id}/${model}`);
  };
  const targets = [candidate('e1', 'a'), candidate('e2', 'b:latest')];

  test.each<[string, string[], string, string[]]>([
    ['an alias opens its targets, through the alias', ['fast'], 'fast', ['e1/a', 'e2/b:latest']],
    ['the beginning of an alias', ['fa*'], 'fast', ['e1/a', 'e2/b:latest']],
    ['a target alone opens nothing else of an alias', ['a'], 'fast', ['e1/a']],
    ['another name that the engine takes', ['b'], 'b', ['e1/a', 'e2/b:latest']],
    ['another name in an address', ['flm://e2/b'], 'flm://e2/b', ['e1/a', 'e2/b:latest']],
    ['an address by the kind of engine', ['flm://kind/*'], 'flm://kind/b', ['e1/a', 'e2/b:latest']],
  ])('%s', (_, list, requested, expected) => {
    expect(allowed(list, requested, ...targets)).toEqual(expected);
  });

  test.each([
    ['an alias opens nothing by the targets’ own names', ['fast'], 'a'],
    ['nor by their addresses', ['fast'], 'flm://e1/a'],
    ['a plain beginning says nothing of addresses', ['f*'], 'flm://e1/a'],
    ['nor does the beginning of every address', ['flm*'], 'a'],
    ['another alias', ['fast'], 'faster'],
    ['an address never means an alias', ['flm://e1/fast'], 'fast'],
  ])('%s', async (_, list, requested) => {
    expect(await codeOf(() => allowed(list, requested, candidate('e1', 'a')))).toBe('MODEL_NOT_ALLOWED');
  });
});

/**
 * `onlya` is a model of e1 that an alias of that name hides, and stands for `onlyb` of e1; `fast` stands for the hidden
 * one. `tagless` is what its engine takes for `tagless:latest`, hidden by an alias that stands for `onlyb` too.
 */
describe('a name that an alias holds', () => {
  const REQUESTS: Readonly<Record<string, Candidate>> = {
    onlya: candidate('e1', 'onlyb'),
    'flm://e1/onlya': candidate('e1', 'onlya'),
    'flm://kind/onlya': candidate('e1', 'onlya'),
    fast: candidate('e1', 'onlya'),
    onlyb: candidate('e1', 'onlyb'),
    'flm://e1/onlyb': candidate('e1', 'onlyb'),
    tagless: candidate('e1', 'onlyb'),
    'flm://e1/tagless': candidate('e1', 'tagless:latest'),
    'tagless:latest': candidate('e1', 'tagless:latest'),
  };
  const BEHIND = ['onlya', 'onlyb', 'flm://e1/onlyb', 'tagless'];
  const HIDDEN = ['flm://e1/onlya', 'flm://kind/onlya', 'fast'];

  test.each<[string, readonly string[]]>([
    ['onlya', ['onlya']],
    ['only*', BEHIND],
    ['onlya*', ['onlya']],
    ['flm://e1/onlya', HIDDEN],
    ['flm://e1/onlya*', HIDDEN],
    ['flm://kind/onlya', ['flm://kind/onlya']],
    ['flm://e1/*', Object.keys(REQUESTS)],
    ['*', Object.keys(REQUESTS)],
    ['onlyb', BEHIND],
    ['flm://e1/onlyb', BEHIND],
    ['fast', ['fast']],
    ['f*', ['fast']],
    ['flm://e1/fast', []],
    ['flm://e1/f*', []],
    ['tagless', ['tagless']],
    ['tagless*', ['tagless', 'flm://e1/tagless', 'tagless:latest']],
    ['tagless:latest', ['flm://e1/tagless', 'tagless:latest']],
    ['flm://e1/tagless', ['flm://e1/tagless']],
    ['flm://e2/*', []],
  ])('%s on a list opens %p', (pattern, expected) => {
    const open = Object.entries(REQUESTS).filter(([asked, target]) =>
      mayUse(principal([pattern]), target, asked, isAlias),
    );
    expect(open.map(([asked]) => asked).toSorted()).toEqual(expected.toSorted());
  });

  test.each<[string, string[]]>([
    ['onlya', ['onlya']],
    ['only*', ['onlya', 'onlyb', 'flm://e1/onlyb']],
    ['flm://e1/*', ['flm://e1/onlya', 'flm://e1/onlyb', 'flm://e1/tagless']],
    ['flm://kind/*', ['flm://kind/onlya']],
    ['onlyb', ['onlyb', 'flm://e1/onlyb']],
    ['*', Object.keys(REQUESTS)],
  ])('whatever it means, %s on a list has the names %p', (pattern, expected) => {
    const open = Object.keys(REQUESTS).filter((asked) => mayUse(principal([pattern]), null, asked, isAlias));
    expect(open.toSorted()).toEqual(expected.toSorted());
  });

  test('may be among its own targets, which it opens, and their addresses not', () => {
    const opens = (asked: string) => mayUse(principal(['onlya']), candidate('e1', 'onlya'), asked, isAlias);
    expect([opens('onlya'), opens('flm://e1/onlya')]).toEqual([true, false]);
  });
});

describe('a Ticket', () => {
  test('tells once how the request ended, with what it used and how long it took', async () => {
    const { admission, clock, events } = fixture();
    const ticket = admit(admission, 'r1', principal(), planFor(candidate('e1')));
    clock.advance(250);
    ticket.close('done', { promptTokens: 3, completionTokens: 4, cachedTokens: null, reasoningTokens: null });
    await settle();
    expect(events).toEqual([
      {
        name: 'ticket.closed',
        requestId: 'r1',
        principalId: 'key1',
        model: 'm',
        outcome: 'done',
        durationMs: 250,
        usage: { promptTokens: 3, completionTokens: 4, cachedTokens: null, reasoningTokens: null },
      },
    ]);
  });

  test('cannot be closed twice, nor while a Lease is open, nor give one afterwards', async () => {
    const { admission } = fixture();
    const ticket = admit(admission, 'r', principal(), planFor(candidate('e1')));
    const lease = await ticket.lease(candidate('e1'), new CancelSource());
    expect(await codeOf(() => ticket.close('done', null))).toBe('INTERNAL_ERROR');
    lease.close('done', null);
    ticket.close('done', null);
    expect(await codeOf(() => ticket.close('done', null))).toBe('INTERNAL_ERROR');
    expect(await codeOf(() => ticket.lease(candidate('e1'), new CancelSource()))).toBe('INTERNAL_ERROR');
    expect(admission.open()).toEqual({ tickets: 0, leases: 0 });
  });

  test('cannot be closed while one of its Leases still waits: nobody would give that slot back', async () => {
    const { admission, slots } = fixture();
    const first = admit(admission, 'r1', principal(), planFor(candidate('e1')));
    const held = await first.lease(candidate('e1'), new CancelSource());
    const second = admit(admission, 'r2', principal(), planFor(candidate('e1')));
    const waiting = second.lease(candidate('e1'), new CancelSource());
    expect(await codeOf(() => second.close('done', null))).toBe('INTERNAL_ERROR');
    held.close('done', null);
    (await waiting).close('done', null);
    for (const ticket of [first, second]) ticket.close('done', null);
    expect([admission.open(), slots.load('e1').active]).toEqual([{ tickets: 0, leases: 0 }, 0]);
  });

  test('can be closed after a Lease that was refused or given up', async () => {
    const { admission } = fixture(
      () => 1,
      () => 1,
    );
    const [a, b, c] = ['a', 'b', 'c'].map((id) =>
      admit(admission, id, principal(), planFor(candidate('e1'))),
    );
    if (a === undefined || b === undefined || c === undefined) throw new Error('unreachable');
    const held = await a.lease(candidate('e1'), new CancelSource());
    const leaver = new CancelSource();
    const waiting = b.lease(candidate('e1'), leaver);
    expect(await codeOf(() => c.lease(candidate('e1'), new CancelSource()))).toBe('QUEUE_FULL');
    c.close('refused', null);
    leaver.abort(new FlmError('CLIENT_CLOSED_REQUEST'));
    expect(await codeOf(() => waiting)).toBe('CLIENT_CLOSED_REQUEST');
    b.close('aborted', null);
    held.close('done', null);
    a.close('done', null);
    expect(admission.open()).toEqual({ tickets: 0, leases: 0 });
  });
});

describe('a Lease', () => {
  test('tells once how the attempt ended and how long it waited', async () => {
    const { admission, clock, events } = fixture();
    const [a, b] = ['a', 'b'].map((id) => admit(admission, id, principal(), planFor(candidate('e1'))));
    const held = await a?.lease(candidate('e1'), new CancelSource());
    const waiting = b?.lease(candidate('e1'), new CancelSource());
    clock.advance(40);
    held?.close('failed', null);
    const lease = await waiting;
    expect(lease?.waitedMs).toBe(40);
    lease?.close('done', null);
    await settle();
    const attempt = {
      name: 'attempt.finished',
      engineId: 'e1',
      model: 'm',
      firstTokenMs: null,
      usage: null,
    } as const;
    expect(events).toEqual([
      { ...attempt, requestId: 'a', outcome: 'failed', waitedMs: 0, durationMs: 40 },
      { ...attempt, requestId: 'b', outcome: 'done', waitedMs: 40, durationMs: 0 },
    ]);
  });

  test('gives its slot back once: a second close throws and frees nothing', async () => {
    const { admission, slots } = fixture(() => 2);
    const ticket = admit(admission, 'r', principal(), planFor(candidate('e1')));
    const [one, two] = [
      await ticket.lease(candidate('e1'), new CancelSource()),
      await ticket.lease(candidate('e1'), new CancelSource()),
    ];
    one.close('done', null);
    const error = await errorOf(() => one.close('aborted', null));
    expect([error.code, String(error.cause)]).toEqual([
      'INTERNAL_ERROR',
      expect.stringContaining('request r'),
    ]);
    expect([slots.load('e1').active, admission.open().leases]).toEqual([1, 1]);
    two.close('done', null);
    expect(slots.load('e1')).toEqual({ active: 0, waiting: 0 });
  });
});

/* A model of admission: what must be true after every step, whatever the steps are. */

type Engine = (typeof ENGINES)[number];

/** An attempt as the model knows it. */
interface Attempt {
  readonly id: number;
  readonly ticket: number;
  readonly engine: Engine;
  state: 'waiting' | 'open' | 'closed' | 'gone';
}

interface Model {
  nextId: number;
  capacity: Record<Engine, number>;
  limit: number;
  tickets: Map<number, 'open' | 'closed'>;
  attempts: Attempt[];
}

interface Real {
  readonly slots: Slots;
  readonly admission: Admission;
  readonly events: Event[];
  readonly limits: { capacity: Record<Engine, number>; limit: number };
  readonly tickets: Map<number, Ticket>;
  readonly leases: Map<number, Lease>;
  readonly signals: Map<number, CancelSource>;
  /** Attempts in the order they got their slot after waiting. */
  readonly started: number[];
  readonly ended: Map<number, unknown>;
}

const inState = (model: Model, engine: Engine, state: Attempt['state']) =>
  model.attempts.filter((attempt) => attempt.engine === engine && attempt.state === state);

/** First come, first served: who waits longest starts as soon as there is room. Returns who started. */
function startWaiting(model: Model, engine: Engine): number[] {
  const started: number[] = [];
  for (const attempt of inState(model, engine, 'waiting')) {
    if (inState(model, engine, 'open').length >= model.capacity[engine]) break;
    attempt.state = 'open';
    started.push(attempt.id);
  }
  return started;
}

async function compare(model: Model, real: Real, started: readonly number[]): Promise<void> {
  await settle();
  expect(real.started.splice(0)).toEqual([...started]);
  for (const engine of ENGINES) {
    const [active, waiting] = [
      inState(model, engine, 'open').length,
      inState(model, engine, 'waiting').length,
    ];
    expect(real.slots.load(engine)).toEqual({ active, waiting });
  }
  expect(real.admission.open()).toEqual({
    tickets: [...model.tickets.values()].filter((state) => state === 'open').length,
    leases: model.attempts.filter(({ state }) => state === 'open').length,
  });
  const count = (name: Event['name']) => real.events.filter((event) => event.name === name).length;
  expect(count('attempt.finished')).toBe(model.attempts.filter(({ state }) => state === 'closed').length);
  expect(count('ticket.closed')).toBe(
    [...model.tickets.values()].filter((state) => state === 'closed').length,
  );
}

type Command = fc.AsyncCommand<Model, Real, false>;

const pick = <Item>(items: readonly Item[], index: number): Item | undefined => items[index % items.length];

function command(name: string, check: (model: Model) => boolean, run: Command['run']): Command {
  return { check, run, toString: () => name };
}

const letIn = fc.constant(
  command(
    'admit',
    () => true,
    async (model, real) => {
      const id = model.nextId++;
      model.tickets.set(id, 'open');
      real.tickets.set(
        id,
        admit(real.admission, String(id), principal(), planFor(...ENGINES.map((e) => candidate(e)))),
      );
      await compare(model, real, []);
    },
  ),
);

/** Asks for a slot, with any Ticket there ever was. */
const lease = fc.tuple(fc.nat(20), fc.constantFrom(...ENGINES), fc.boolean()).map(([index, engine, gone]) =>
  command(
    `lease(${index}, ${engine}${gone ? ', gone already' : ''})`,
    (model) => model.tickets.size > 0,
    async (model, real) => {
      const ticketId = pick([...model.tickets.keys()], index) ?? 0;
      const ticket = real.tickets.get(ticketId);
      if (ticket === undefined) throw new Error('unreachable');
      const signal = new CancelSource();
      if (gone) signal.abort('gone');
      const take = async () => ticket.lease(candidate(engine), signal);
      if (model.tickets.get(ticketId) === 'closed') {
        expect(await codeOf(take)).toBe('INTERNAL_ERROR');
        return compare(model, real, []);
      }
      if (gone) {
        expect(await take().catch((reason: unknown) => reason)).toBe('gone');
        return compare(model, real, []);
      }
      // An engine that has grown lets in who waits before anybody new.
      const before = inState(model, engine, 'waiting').length > 0 ? startWaiting(model, engine) : [];
      const free = inState(model, engine, 'open').length < model.capacity[engine];
      const waiting = inState(model, engine, 'waiting').length;
      if ((!free || waiting > 0) && waiting >= model.limit) {
        const error = await errorOf(take);
        expect([error.code, error.meta.waiting]).toEqual(['QUEUE_FULL', waiting]);
        return compare(model, real, before);
      }
      const id = model.nextId++;
      model.attempts.push({
        id,
        ticket: ticketId,
        engine,
        state: free && waiting === 0 ? 'open' : 'waiting',
      });
      real.signals.set(id, signal);
      const taken = ticket.lease(candidate(engine), signal);
      if (taken instanceof Promise) {
        void taken.then(
          (got) => {
            real.leases.set(id, got);
            real.started.push(id);
          },
          (reason: unknown) => real.ended.set(id, reason),
        );
      } else real.leases.set(id, taken);
      return compare(model, real, before);
    },
  ),
);

const closeLease = fc
  .tuple(fc.nat(30), fc.constantFrom<LeaseOutcome>('done', 'aborted', 'failed'))
  .map(([index, outcome]) =>
    command(
      `closeLease(${index})`,
      (model) => model.attempts.some(({ state }) => state === 'open' || state === 'closed'),
      async (model, real) => {
        const attempt = pick(
          model.attempts.filter(({ state }) => state === 'open' || state === 'closed'),
          index,
        );
        const held = real.leases.get(attempt?.id ?? -1);
        if (attempt === undefined || held === undefined) throw new Error('unreachable');
        if (attempt.state === 'closed') {
          expect(await codeOf(() => held.close(outcome, null))).toBe('INTERNAL_ERROR');
          return compare(model, real, []);
        }
        attempt.state = 'closed';
        held.close(outcome, null);
        return compare(model, real, startWaiting(model, attempt.engine));
      },
    ),
  );

/** The client of a waiting or working request leaves; one that works is told by other means and keeps its slot. */
const abort = fc.nat(30).map((index) =>
  command(
    `abort(${index})`,
    (model) => model.attempts.length > 0,
    async (model, real) => {
      const attempt = pick(model.attempts, index);
      if (attempt === undefined) throw new Error('unreachable');
      const reason = `attempt ${attempt.id} left`;
      real.signals.get(attempt.id)?.abort(reason);
      if (attempt.state === 'waiting') attempt.state = 'gone';
      await compare(model, real, []);
      if (attempt.state === 'gone') expect(real.ended.get(attempt.id)).toBe(reason);
    },
  ),
);

const closeTicket = fc.nat(20).map((index) =>
  command(
    `closeTicket(${index})`,
    (model) => model.tickets.size > 0,
    async (model, real) => {
      const id = pick([...model.tickets.keys()], index) ?? 0;
      const ticket = real.tickets.get(id);
      const busy = model.attempts.some(
        (attempt) => attempt.ticket === id && (attempt.state === 'open' || attempt.state === 'waiting'),
      );
      if (busy || model.tickets.get(id) === 'closed') {
        expect(await codeOf(() => ticket?.close('done', null))).toBe('INTERNAL_ERROR');
      } else {
        ticket?.close('done', null);
        model.tickets.set(id, 'closed');
      }
      return compare(model, real, []);
    },
  ),
);

const resize = fc
  .tuple(fc.constantFrom(...ENGINES), fc.integer({ min: 1, max: 4 }), fc.nat(4))
  .map(([engine, capacity, limit]) =>
    command(
      `resize(${engine}, ${capacity}, queue ${limit})`,
      () => true,
      async (model, real) => {
        model.capacity[engine] = capacity;
        model.limit = limit;
        real.limits.capacity[engine] = capacity;
        real.limits.limit = limit;
        await compare(model, real, []);
      },
    ),
  );

/** Ends everything that is still going on; afterwards nothing may be left anywhere. */
async function wind(model: Model, real: Real): Promise<void> {
  while (model.attempts.some(({ state }) => state === 'open' || state === 'waiting')) {
    for (const attempt of model.attempts.filter(({ state }) => state === 'open')) {
      attempt.state = 'closed';
      real.leases.get(attempt.id)?.close('done', null);
      await compare(model, real, startWaiting(model, attempt.engine));
    }
  }
  for (const [id, state] of model.tickets) if (state === 'open') real.tickets.get(id)?.close('done', null);
  expect(real.admission.open()).toEqual({ tickets: 0, leases: 0 });
  for (const engine of ENGINES) expect(real.slots.load(engine)).toEqual({ active: 0, waiting: 0 });
}

test('never works on more than an engine takes, serves in order, and loses no slot, whatever happens', async () => {
  const commands = fc.commands<Model, Real, false>(
    [letIn, lease, lease, lease, closeLease, closeLease, abort, closeTicket, resize],
    { maxCommands: 60, size: 'max' },
  );
  await fc.assert(
    fc.asyncProperty(commands, async (steps) => {
      const limits = { capacity: { e1: 1, e2: 2 }, limit: 2 };
      const model: Model = {
        nextId: 0,
        capacity: { ...limits.capacity },
        limit: limits.limit,
        tickets: new Map(),
        attempts: [],
      };
      const { slots, admission, events } = fixture(
        (engine) => limits.capacity[engine as Engine],
        () => limits.limit,
      );
      const real: Real = {
        slots,
        admission,
        events,
        limits,
        tickets: new Map(),
        leases: new Map(),
        signals: new Map(),
        started: [],
        ended: new Map(),
      };
      await fc.asyncModelRun(() => ({ model, real }), steps);
      await wind(model, real);
    }),
    { numRuns: 300 },
  );
});
