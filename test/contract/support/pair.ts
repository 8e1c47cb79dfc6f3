/** Two engines with one model, of which whoever is asked first goes wrong: the order is FLM's to choose. */
import type { ConfigSnapshot } from '../../../src/config';
import type { FakeEngine, FakeKind, Fault, RecordedRequest } from '../../fake';
import { type Gateway, startGateway } from './gateway';
import { ALL_ROUND } from './routes';

export interface Pair extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly fakes: readonly [FakeEngine, FakeEngine];
  /** The next to be asked for work meets `fault`, from then on; the other one meets `others`. */
  faultNext(fault: Fault, others?: Fault): void;
  /** Who met it; and the other one. @throws when nobody was asked. */
  met(): { readonly first: FakeEngine; readonly second: FakeEngine };
  /** Makes both well, and lets FLM see it. */
  heal(): Promise<void>;
}

export async function startPair(kind: FakeKind, settings: Partial<ConfigSnapshot> = {}): Promise<Pair> {
  const gateway = await startGateway({ settings });
  const one = await gateway.addFake(kind, ALL_ROUND, { id: 'one' });
  const two = await gateway.addFake(kind, ALL_ROUND, { id: 'two' });
  let onWork: (fake: FakeEngine) => void = () => {};
  for (const fake of [one, two]) watch(fake, () => onWork(fake));
  let asked: FakeEngine | null = null;
  const otherThan = (fake: FakeEngine) => (fake === one ? two : one);

  return {
    gateway,
    fakes: [one, two],
    faultNext(fault, others) {
      asked = null;
      for (const fake of [one, two]) fake.setFault(fault);
      onWork = (fake) => {
        if (asked !== null) return;
        asked = fake;
        otherThan(fake).setFault(others ?? null);
      };
    },
    met() {
      if (asked === null) throw new Error('nobody was asked');
      return { first: asked, second: otherThan(asked) };
    },
    async heal() {
      onWork = () => {};
      for (const fake of [one, two]) fake.setFault(null);
      await gateway.recovered();
    },
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

/** Calls back when a request for work has come and before the fake has looked which fault it meets. */
function watch(fake: FakeEngine, onWork: () => void): void {
  const requests = fake.requests as RecordedRequest[];
  const push = requests.push.bind(requests);
  requests.push = (...more) => {
    if (more.some(({ method, path }) => method === 'POST' && path.startsWith('/v1/'))) onWork();
    return push(...more);
  };
}
