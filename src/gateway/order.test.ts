/**
 * The order of ORDER (design §2), seen from outside: every step after all before it, none after one that refused, and the
 * last three once per candidate. Each Lease and each Ticket is closed once, whatever happened.
 */
import { expect, test } from 'bun:test';
import { type ConfigSnapshot, SETTING_KEYS, SETTINGS } from '../config';
import type { Candidate, Lease, Plan, Principal, Ticket } from '../contract';
import { type EgressBody, EgressError, type EgressResponse } from '../egress';
import { createBus } from '../lib/bus';
import { manualClock } from '../lib/clock';
import { type ErrorCode, FlmError } from '../lib/errors';
import { silentLog } from '../lib/log';
import { createGateway, ORDER } from '.';

const config = Object.fromEntries(SETTING_KEYS.map((key) => [key, SETTINGS[key].default])) as ConfigSnapshot;
const principal: Principal = {
  kind: 'key',
  id: 'k',
  label: 'k',
  scopes: new Set(['inference']),
  models: null,
};

function candidate(id: string): Candidate {
  return { engine: { id, kind: 'openai', baseUrl: `http://${id}`, origin: 'manual' }, model: 'm' };
}

type Step = (typeof ORDER)[number];

/** What a step does in place of going well: throws, or for `relay` answers 503, or breaks off. */
type Mishap = ErrorCode | 503 | 'breaks off';

/** Sends one request through a gateway whose neighbours write down when they are asked. */
async function pass(mishaps: Partial<Record<Step, Mishap>>, ids = ['one']) {
  const steps: string[] = [];
  const closed: string[] = [];
  const trip = (step: Step): void => {
    steps.push(step);
    const mishap = mishaps[step];
    if (typeof mishap === 'string' && mishap !== 'breaks off') throw new FlmError(mishap);
  };
  const plan: Plan = { requested: 'm', candidates: ids.map(candidate) };

  function answer(): EgressResponse {
    const isBusy = mishaps.relay === 503;
    // A refused answer is not read, so that its step would be missing.
    if (isBusy) steps.push('relay');
    const body: Pick<EgressBody, 'bytes' | 'reader'> = {
      async bytes() {
        if (!isBusy) trip('relay');
        if (mishaps.relay === 'breaks off') throw new EgressError('closed', 'it is gone');
        return Buffer.from('{}');
      },
      reader: () => ({ read: async () => null, cancel() {} }),
    };
    const status = isBusy ? 503 : 200;
    return { status, headers: new Headers(), body: body as EgressBody };
  }

  const bus = createBus();
  const gateway = createGateway({
    keys: {
      identify() {
        steps.push('identify');
        return mishaps.identify === undefined
          ? { principal, refusal: null }
          : { principal: null, refusal: 'invalid_or_revoked_api_key' };
      },
      rulesOf: () => null,
      anyUsable: () => true,
    },
    models: {
      plan(_, route) {
        expect(route).toBe('/v1/chat/completions');
        trip('plan');
        return plan;
      },
    },
    screen: { arrive: () => trip('screen'), stranger() {}, hold: () => null, known() {} },
    policy: () => null,
    admission: {
      precheck: () => trip('precheck'),
      count() {},
      allowedFor: () => null,
      metersTokens: () => false,
      admit({ id }): Ticket {
        trip('admit');
        return {
          id,
          principal,
          plan,
          lease(asked): Lease {
            trip('lease');
            return {
              candidate: asked,
              waitedMs: 0,
              answered() {},
              close: (outcome) => void closed.push(`lease ${asked.engine.id} ${outcome}`),
            };
          },
          close: (outcome) => void closed.push(`ticket ${outcome}`),
        };
      },
    },
    engines: {
      mustAskForUsage: () => false,
      async open() {
        trip('open');
        return answer();
      },
    },
    catalogue: { openAiListJson: () => '[]', openAiModel: async () => null },
    metrics: async () => ({ type: 'text/plain', text: '' }),
    minBodyBytesPerSecond: () => null,
    tracing: null,
    isReady: () => true,
    liveness: async () => 'alive',
    config: () => config,
    clock: manualClock(),
    bus,
    log: silentLog,
  });
  const body = new ReadableStream<Uint8Array>({
    type: 'bytes',
    pull(controller) {
      steps.push('read');
      // What the scan would refuse, it finds when everything has been read.
      controller.enqueue(Buffer.from(mishaps.scan === undefined ? '{"model":"m"}' : '{"model":1}'));
      controller.close();
    },
  });
  const headers = { host: mishaps.edge === undefined ? 'localhost' : 'a,b' };
  const request = new Request('http://localhost/v1/chat/completions', { method: 'POST', body, headers });
  const edge = gateway.edge({ loopback: true });
  const response = await edge.fetch(request, { requestIP: () => null, timeout() {} });
  expect(gateway.busy()).toBe(0);
  gateway.close();
  bus.close();
  return { steps, closed, status: response.status };
}

/** The steps that others are asked for; `edge` and `scan` only show when they refuse. */
const SEEN = ORDER.filter((step) => step !== 'edge' && step !== 'scan');
const AGAIN = ['lease', 'open', 'relay'];

test('every step comes after all before it', async () => {
  expect(await pass({})).toEqual({
    steps: [...SEEN],
    closed: ['lease one done', 'ticket done'],
    status: 200,
  });
});

test.each([
  ['edge', 'INVALID_REQUEST', 400, []],
  ['screen', 'IP_BLOCKED', 403, []],
  ['identify', 'INVALID_API_KEY', 401, []],
  ['precheck', 'RATE_LIMITED', 429, []],
  ['scan', 'INVALID_MODEL', 400, []],
  ['plan', 'MODEL_NOT_FOUND', 404, []],
  ['admit', 'MODEL_NOT_ALLOWED', 403, []],
  ['lease', 'QUEUE_FULL', 429, ['ticket refused']],
  ['lease', 'ENGINE_UNAVAILABLE', 503, ['ticket refused']],
  ['lease', 'REQUEST_TIMEOUT', 408, ['ticket aborted']],
  ['open', 'ENGINE_NETWORK_ERROR', 502, ['lease one failed', 'ticket failed']],
  ['relay', 'breaks off', 502, ['lease one failed', 'ticket failed']],
  ['relay', 503, 503, ['lease one failed', 'ticket failed']],
] as const)('nothing comes after %s has refused (%s)', async (step, mishap, status, closed) => {
  const before: readonly string[] = ORDER.slice(0, ORDER.indexOf(step) + 1);
  const steps = SEEN.filter((name) => before.includes(name));
  expect(await pass({ [step]: mishap })).toEqual({ steps, closed: [...closed], status });
});

test.each([
  ['lease', 'QUEUE_FULL', 1, []],
  ['lease', 'ENGINE_UNAVAILABLE', 1, []],
  ['open', 'ENGINE_NETWORK_ERROR', 2, ['failed']],
  ['open', 'ENGINE_NEEDS_KEY', 2, ['failed']],
  ['open', 'ENGINE_NOT_FOUND', 2, ['failed']],
  ['relay', 'breaks off', 3, ['failed']],
  ['relay', 503, 3, ['failed']],
] as const)('the next candidate after %s (%s)', async (step, mishap, count, leases) => {
  const { steps, closed } = await pass({ [step]: mishap }, ['one', 'two']);
  const once = AGAIN.slice(0, count);
  expect(steps).toEqual([...SEEN.slice(0, SEEN.indexOf('lease')), ...once, ...once]);
  const ends = leases.flatMap((outcome) => [`lease one ${outcome}`, `lease two ${outcome}`]);
  expect(closed).toEqual([...ends, leases.length === 0 ? 'ticket refused' : 'ticket failed']);
});

test.each(['REQUEST_TIMEOUT', 'CLIENT_CLOSED_REQUEST', 'SHUTTING_DOWN', 'INTERNAL_ERROR'] as const)(
  'nobody else is asked after %s',
  async (code) => {
    const { steps } = await pass({ open: code }, ['one', 'two']);
    expect(steps.filter((step) => step === 'lease')).toHaveLength(1);
  },
);

test('an engine that is dead is asked once, however many models of it are there', async () => {
  const { steps } = await pass({ open: 'ENGINE_NETWORK_ERROR' }, ['one', 'one', 'two', 'one', 'two']);
  expect(steps.filter((step) => step === 'lease')).toHaveLength(2);
});
