/**
 * A model of limits that knows no shortcuts: it keeps everything that ever happened and works out the present from it
 * (FLM-110).
 */
import { expect } from 'bun:test';
import { createMemoryStore } from '../../src/admission/limits/memory';
import { type Limit, limitOf } from '../../src/admission/limits/meter';
import type { Demand, Unit } from '../../src/admission/limits/model';
import { manualClock } from '../../src/lib/clock';
import { silentLog } from '../../src/lib/log';
import { memoryRows } from './limit-rows';
import { type Random, seededRandom } from './random';

const MINUTE = 60_000;

export function limit(perMinute: number, burst?: number): Limit {
  const made = limitOf(perMinute, burst);
  if (made === null) throw new Error('unreachable');
  return made;
}

interface Happened {
  readonly atMs: number;
  readonly units: number;
  /** Of what is given back: the window from which. */
  readonly window: number | null;
}

class Naive {
  readonly #happened: Happened[] = [];
  readonly limit: Limit;

  constructor(limit: Limit) {
    this.limit = limit;
  }

  /** Window and bucket at a time, from everything before it. */
  at(nowMs: number) {
    const { perMinute, burst } = this.limit;
    const full = burst * MINUTE;
    let start: number | null = null;
    let count = 0;
    let bucket = full;
    let bucketMs = 0;
    for (const { atMs, units, window } of this.#happened) {
      if (start !== null && atMs >= start + MINUTE) [start, count] = [null, 0];
      bucket = Math.min(full, bucket + (atMs - bucketMs) * perMinute);
      bucketMs = atMs;
      bucket = Math.min(full, Math.max(-60 * perMinute * MINUTE, bucket - units * MINUTE));
      if (units >= 0) {
        start ??= atMs;
        count += units;
      } else if (start === window) count = Math.max(0, count + units);
    }
    if (start !== null && nowMs >= start + MINUTE) [start, count] = [null, 0];
    bucket = Math.min(full, bucket + (nowMs - bucketMs) * perMinute);
    return { start, count, bucket };
  }

  fits(units: number, nowMs: number): boolean {
    const { count, bucket } = this.at(nowMs);
    return count + units <= this.limit.perMinute && bucket >= units * MINUTE;
  }

  add(units: number, nowMs: number, window: number | null): void {
    if (units !== 0) this.#happened.push({ atMs: nowMs, units, window });
  }

  standing(nowMs: number) {
    const { start, count, bucket } = this.at(nowMs);
    const { perMinute, burst } = this.limit;
    const windowMs = start === null || count === 0 ? 0 : start + MINUTE - nowMs;
    return {
      remaining: Math.max(0, Math.min(perMinute - count, Math.floor(bucket / MINUTE))),
      resetMs: Math.max(windowMs, Math.ceil((burst * MINUTE - bucket) / perMinute)),
    };
  }

  /** The first millisecond at which it fits, looked for one by one. */
  waitMs(units: number, nowMs: number): number {
    for (let ms = 0; ms <= 2 * MINUTE; ms++) if (this.fits(units, nowMs + ms)) return ms;
    return Number.POSITIVE_INFINITY;
  }
}

const SUBJECTS = ['a', 'b', 'global'] as const;

function demandsOf(random: Random, limits: ReadonlyMap<string, Limit>): Demand[] {
  const subject = random.pick(['a', 'b'] as const);
  const all: [string, Unit, number][] = [
    [subject, 'requests', 1],
    ['global', 'requests', 1],
    [subject, 'tokens', random.int(60)],
  ];
  return all
    .filter(() => random.int(4) > 0)
    .map(([name, unit, cost]) => ({
      subject: name,
      unit,
      cost: random.int(12) === 0 ? 0 : cost,
      limit: limits.get(`${name} ${unit}`) ?? limit(1),
    }));
}

/** One random schedule of requests, settlements and clock steps, by the store and by the model. */
export function schedule(seed: number): void {
  const random = seededRandom(seed);
  const clock = manualClock();
  const store = createMemoryStore({ clock, rows: memoryRows(), log: silentLog });
  const limits = new Map<string, Limit>();
  const naive = new Map<string, Naive>();
  for (const subject of SUBJECTS) {
    for (const unit of ['requests', 'tokens']) {
      const perMinute = 1 + random.int(unit === 'tokens' ? 200 : 12);
      const made = limit(perMinute, unit === 'tokens' ? undefined : 1 + random.int(20));
      limits.set(`${subject} ${unit}`, made);
      naive.set(`${subject} ${unit}`, new Naive(made));
    }
  }
  const modelOf = ({ subject, unit }: Demand): Naive => {
    const model = naive.get(`${subject} ${unit}`);
    if (model === undefined) throw new Error('unreachable');
    return model;
  };
  const reserved: { demand: Demand; window: number }[] = [];
  for (let step = 0; step < 25; step++) {
    const nowMs = clock.monotonicMs();
    const what = random.int(10);
    if (what < 3) clock.advance(random.pick([1, 7, 499, 5_000, 30_000, 59_999, 60_000, 200_000]));
    else if (what === 3) clock.setWall(clock.nowMs() + (random.int(2) === 0 ? -1 : 1) * random.int(1e9));
    else if (what === 4 && reserved.length > 0) {
      const [{ demand, window } = { demand: null, window: 0 }] = reserved.splice(
        random.int(reserved.length),
        1,
      );
      if (demand === null) continue;
      const actual = random.int(90);
      store.settle(demand, window, actual);
      modelOf(demand).add(actual - demand.cost, nowMs, window);
    } else if (what === 5) store.flush();
    else {
      const demands = demandsOf(random, limits);
      const verdict = store.take(demands);
      const misfit = demands.findIndex((each) => each.cost > 0 && !modelOf(each).fits(each.cost, nowMs));
      const refused = misfit === -1 ? null : misfit;
      if (refused === null) for (const each of demands) modelOf(each).add(each.cost, nowMs, null);
      const standings = demands.map((each) => modelOf(each).standing(nowMs));
      const told = verdict.standings.map(({ remaining, resetMs }) => ({ remaining, resetMs }));
      if (verdict.refused !== refused || !Bun.deepEquals(told, standings))
        expect({ seed, step, refused: verdict.refused, told }).toEqual({
          seed,
          step,
          refused,
          told: standings,
        });
      // Looking for the moment is slow, so it is done for some of them.
      const late = refused === null ? undefined : demands[refused];
      if (
        late !== undefined &&
        seed % 50 === 0 &&
        late.cost <= Math.min(late.limit.perMinute, late.limit.burst)
      ) {
        const waitMs = modelOf(late).waitMs(late.cost, nowMs);
        if (Number.isFinite(waitMs)) expect([seed, step, verdict.waitMs]).toEqual([seed, step, waitMs]);
      }
      if (refused !== null) continue;
      for (const [index, each] of demands.entries()) {
        const window = verdict.standings[index]?.window ?? 0;
        if (each.unit === 'tokens' && each.cost > 0) reserved.push({ demand: each, window });
      }
    }
  }
}
