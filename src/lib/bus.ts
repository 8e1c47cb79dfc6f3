/**
 * The bus: what happened, told to whoever cares, after the fact. Bounded: a subscriber that cannot keep up
 * loses its oldest events (counted), never memory and never the publisher's time.
 */
import type { Event, EventName } from '../contract';

export type EventOf<Name extends EventName> = Extract<Event, { name: Name }>;

export interface Bus {
  /** Hands the event to every subscriber of its name, soon, in order. Never throws. */
  publish(event: Event): void;
  /** Calls `handle` for each event of that name until the returned function is called. */
  subscribe<Name extends EventName>(name: Name, handle: (event: EventOf<Name>) => void): () => void;
  /** Events lost because a subscriber was too slow. */
  dropped(): number;
  /** Drops every subscriber and every event still on its way. */
  close(): void;
}

export interface BusOptions {
  /** Events that may wait per subscriber. */
  readonly capacity?: number;
  /** Told about errors of subscribers, which must not reach the publisher. */
  readonly onError?: (error: unknown, event: Event) => void;
}

interface Subscriber {
  readonly waiting: Event[];
  readonly handle: (event: Event) => void;
  scheduled: boolean;
  open: boolean;
}

export function createBus(options: BusOptions = {}): Bus {
  const capacity = options.capacity ?? 4096;
  const onError = options.onError ?? (() => {});
  const subscribers = new Map<EventName, Set<Subscriber>>();
  let lost = 0;

  function drain(subscriber: Subscriber): void {
    subscriber.scheduled = false;
    for (const event of subscriber.waiting.splice(0)) {
      if (!subscriber.open) return;
      try {
        subscriber.handle(event);
      } catch (error) {
        onError(error, event);
      }
    }
  }

  return {
    publish(event) {
      const named = subscribers.get(event.name);
      if (named === undefined) return;
      for (const subscriber of named) {
        if (subscriber.waiting.length >= capacity) {
          subscriber.waiting.shift();
          lost++;
        }
        subscriber.waiting.push(event);
        if (!subscriber.scheduled) {
          subscriber.scheduled = true;
          queueMicrotask(() => drain(subscriber));
        }
      }
    },

    subscribe(name, handle) {
      const subscriber: Subscriber = {
        waiting: [],
        // The map is keyed by name, so only events of that name arrive here.
        handle: handle as (event: Event) => void,
        scheduled: false,
        open: true,
      };
      const named = subscribers.get(name) ?? new Set();
      subscribers.set(name, named.add(subscriber));
      return () => {
        subscriber.open = false;
        named.delete(subscriber);
      };
    },

    dropped: () => lost,

    close() {
      for (const named of subscribers.values()) {
        for (const subscriber of named) {
          subscriber.open = false;
          subscriber.waiting.length = 0;
        }
      }
      subscribers.clear();
    },
  };
}
