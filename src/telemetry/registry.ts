/**
 * What FLM counts: families of counters, gauges and histograms, as Prometheus and OpenTelemetry know them. A request adds
 * to numbers that it has at hand; names, labels and text are made when somebody reads them (ADR 0006).
 */

export type FamilyType = 'counter' | 'gauge' | 'histogram';

/** A name's value, in the order of its family's label names. */
export type Labels = readonly string[];

/** One series of numbers. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** One histogram, its counts not yet summed up. */
export interface Distribution {
  readonly labels: Labels;
  /** How many fell into each bucket; the last are those above all bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
}

interface FamilyHead {
  /** `flm_request_duration_seconds` */
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

export type Family =
  | (FamilyHead & { readonly type: 'counter' | 'gauge'; samples(): readonly Sample[] })
  | (FamilyHead & {
      readonly type: 'histogram';
      /** Upper bounds, rising. */
      readonly bounds: readonly number[];
      distributions(): readonly Distribution[];
    });

/** A class, because adding to it is all that a request does. */
export class Counter {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

export class Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let bucket = 0;
    // From below: most of what is measured is short.
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    this.sum += value;
  }
}

/** The series of one family that somebody adds to. */
export interface Children<Child> {
  /** The series with these label values, made at the first call. Not for every request: keep what it returns. */
  of(...labels: string[]): Child;
  /** Removes every series that `select` names: what it stands for is gone. */
  removeWhere(select: (labels: Labels) => boolean): void;
}

export interface Registry {
  counter(name: string, help: string): Counter;
  counters(name: string, help: string, labelNames: readonly string[]): Children<Counter>;
  histograms(
    name: string,
    help: string,
    labelNames: readonly string[],
    bounds: readonly number[],
  ): Children<Histogram>;
  /** A number that is looked up when somebody reads it; null while there is none. */
  read(type: 'counter' | 'gauge', name: string, help: string, value: () => number | null): void;
  readMany(
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    labelNames: readonly string[],
    samples: () => readonly Sample[],
  ): void;
  families(): readonly Family[];
}

export function createRegistry(): Registry {
  const families = new Map<string, Family>();

  function add(family: Family): void {
    if (families.has(family.name)) throw new TypeError(`the metric ${family.name} is there twice`);
    families.set(family.name, family);
  }

  return {
    counter(name, help) {
      const counter = new Counter();
      const samples = () => [{ labels: [], value: counter.value }];
      add({ type: 'counter', name, help, labelNames: [], samples });
      return counter;
    },

    counters(name, help, labelNames) {
      const children = new Map<string, { readonly labels: Labels; readonly child: Counter }>();
      const samples = () =>
        [...children.values()].map(({ labels, child }) => ({ labels, value: child.value }));
      add({ type: 'counter', name, help, labelNames, samples });
      return childrenOf(children, () => new Counter());
    },

    histograms(name, help, labelNames, bounds) {
      const children = new Map<string, { readonly labels: Labels; readonly child: Histogram }>();
      const distributions = () =>
        [...children.values()].map(({ labels, child: { counts, sum } }) => ({ labels, counts, sum }));
      add({ type: 'histogram', name, help, labelNames, bounds, distributions });
      return childrenOf(children, () => new Histogram(bounds));
    },

    read(type, name, help, value) {
      const samples = () => {
        const now = value();
        return now === null ? [] : [{ labels: [], value: now }];
      };
      add({ type, name, help, labelNames: [], samples });
    },

    readMany(type, name, help, labelNames, samples) {
      add({ type, name, help, labelNames, samples });
    },

    families: () => [...families.values()],
  };
}

function childrenOf<Child>(
  children: Map<string, { readonly labels: Labels; readonly child: Child }>,
  make: () => Child,
): Children<Child> {
  return {
    of(...labels) {
      const key = JSON.stringify(labels);
      const known = children.get(key);
      if (known !== undefined) return known.child;
      const child = make();
      children.set(key, { labels, child });
      return child;
    },
    removeWhere(select) {
      for (const [key, { labels }] of children) if (select(labels)) children.delete(key);
    },
  };
}
