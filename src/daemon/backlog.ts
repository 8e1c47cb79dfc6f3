/** What happened in a process that may not write any more, kept for the one that may. Bounded: the oldest goes first. */
import type { RequestFacts } from '../contract';
import type { Bus } from '../lib/bus';
import { redact } from '../lib/redact';

export interface Rows {
  opened: RequestFacts[];
  finished: RequestFacts[];
}

export interface Backlog {
  /** Keeps what is told of requests from now on. */
  start(): void;
  /** Takes the oldest of what has come together, at most `limit` of each kind; the rest and what comes later is kept on. */
  take(limit: number): Rows;
  /** Whether there is something to take. */
  hasRows(): boolean;
  /** Puts back what could not be handed on. */
  putBack(rows: Rows): void;
  /** Takes what is left and keeps nothing any more. */
  stop(): Rows;
}

const MAX_ROWS = 10_000;
/** As the request log cuts it (activity/wire). */
const MAX_TEXT = 200;

export function createBacklog(bus: Bus): Backlog {
  let rows: Rows = { opened: [], finished: [] };
  let stops: (() => void)[] = [];

  function take(limit: number): Rows {
    return { opened: rows.opened.splice(0, limit), finished: rows.finished.splice(0, limit) };
  }

  return {
    start() {
      stops = [
        bus.subscribe('request.opened', ({ request }) => keep(rows.opened, request)),
        bus.subscribe('request.finished', ({ request }) => keep(rows.finished, request)),
      ];
    },
    take,
    hasRows: () => rows.finished.length > 0 || rows.opened.length > 0,
    putBack(old) {
      rows = {
        opened: [...old.opened, ...rows.opened].slice(-MAX_ROWS),
        finished: [...old.finished, ...rows.finished].slice(-MAX_ROWS),
      };
    },
    stop() {
      for (const stop of stops.splice(0)) stop();
      return take(MAX_ROWS);
    },
  };
}

/** A key that was sent as a model's name goes first: half of one would not be recognised any more. */
function fitting(model: string): string {
  return redact(model.slice(0, 3 * MAX_TEXT)).slice(0, MAX_TEXT);
}

function keep(kept: RequestFacts[], row: RequestFacts): void {
  if (kept.length >= MAX_ROWS) kept.shift();
  // What is only made when somebody asks would be missing in its JSON; what a client may make up has to fit into a report.
  kept.push({ ...row, model: row.model === null ? null : fitting(row.model), trace: row.trace });
}
