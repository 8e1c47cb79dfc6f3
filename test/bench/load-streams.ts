/** Many streams at once: opens them, reads every event, and times the gaps between the tokens of each stream. */
import { cpuSeconds } from './proc';
import { chatRequest } from './request';
import { SseCounter } from './sse-counter';
import { percentile, Samples } from './stats';
import { statusOf, WireReader } from './wire';

/**
 * Streams being opened at one moment. A connection counts as opened with its first event: the kernel completes
 * handshakes long before a busy process accepts, and once its backlog (512 in Bun) is full, SYNs are lost for a second.
 */
const OPENING_AT_ONCE = 64;
/** How long one stream may hold up the next: a proxy that queues streams must still get all of them. */
const PATIENCE_MS = 250;

export interface StreamLoad {
  kind: 'streams';
  port: number;
  authorization: string;
  streams: number;
  /** Tokens per stream; with the engine's rate this sets how long the load lasts. */
  tokens: number;
  /** When to give up on streams that have not ended. */
  limitMs: number;
  /** Processes whose processor time is charged to the chunks. */
  pids: readonly number[];
}

export interface StreamResult {
  completed: number;
  /** Streams that did not complete, by status or reason. */
  failed: Record<string, number>;
  /** The most streams that had their first event and not their last at one moment. */
  peak: number;
  /** From the first connection until every stream had its first event; null when that never was. */
  allStartedMs: number | null;
  /** Wall-clock bounds of the window: all streams open (or the whole run when they never were). */
  windowMs: { from: number; to: number };
  /** Events read and processor time of `pids` in the window. */
  chunks: number;
  cpuS: number;
  /** Time between two tokens of a stream; null when there were none. */
  gapP50Ms: number | null;
  gapP99Ms: number | null;
  gapMaxMs: number | null;
}

interface Reading {
  atMs: number;
  chunks: number;
  cpuS: number;
}

/** Runs all streams to their end. @throws when nobody listens. */
export async function loadStreams(load: StreamLoad): Promise<StreamResult> {
  const request = chatRequest({ port: load.port, authorization: load.authorization, stream: load });
  const gapsMs = new Samples();
  const failed: Record<string, number> = {};
  const take = (): Reading => ({ atMs: performance.now(), chunks, cpuS: cpuSeconds(load.pids) });
  let [chunks, started, ended, completed, peak] = [0, 0, 0, 0, 0];
  let from: Reading | null = null;
  let to: Reading | null = null;
  const everything = Promise.withResolvers<void>();

  function begin(): void {
    started++;
    peak = Math.max(peak, started - ended);
    if (started < load.streams) return;
    // Gaps before this moment belong to the rush of opening, not to the steady state.
    if (ended === 0) gapsMs.clear();
    from = take();
  }

  function finish(why: string, hadStarted: boolean): void {
    if (why === 'completed') completed++;
    else failed[why] = (failed[why] ?? 0) + 1;
    if (from !== null) to ??= take();
    if (!hadStarted) started++;
    ended++;
    if (ended === load.streams) everything.resolve();
  }

  /** Opens a stream; resolves with its first event, its end or the end of our patience. */
  function open(): Promise<void> {
    const opened = Promise.withResolvers<void>();
    const counter = new SseCounter();
    let status = 0;
    let lastMs = 0;
    let over = false;
    const end = (why: string) => {
      if (over) return;
      over = true;
      opened.resolve();
      finish(why, counter.events > 0);
    };
    const reader = new WireReader('server', {
      head(text) {
        status = statusOf(text);
      },
      body(bytes) {
        const before = counter.events;
        counter.push(bytes);
        const nowMs = performance.now();
        for (let event = before + 1; event <= counter.events; event++) {
          chunks++;
          if (event === 1) {
            begin();
            opened.resolve();
          }
          // The wait for the first token is a matter of the engine's timer, and the end comes in one piece.
          else if (event > 2 && event <= load.tokens + 1) gapsMs.add(nowMs - lastMs);
          lastMs = nowMs;
        }
      },
      end() {
        if (status !== 200) end(String(status));
        else end(counter.done && counter.events >= load.tokens + 3 ? 'completed' : 'incomplete');
      },
    });
    const lost = () => {
      reader.close();
      end('closed');
    };
    Bun.connect<undefined>({
      hostname: '127.0.0.1',
      port: load.port,
      socket: { data: (_, bytes) => reader.push(bytes), close: lost },
    }).then((socket) => {
      socket.write(request);
    }, opened.reject);
    return Promise.race([opened.promise, Bun.sleep(PATIENCE_MS)]);
  }

  const first = take();
  let waiting = load.streams;
  const openInTurn = async () => {
    while (waiting-- > 0) await open();
  };
  await Promise.all(Array.from({ length: OPENING_AT_ONCE }, openInTurn));
  await Promise.race([everything.promise, Bun.sleep(load.limitMs)]);

  const last = take();
  if (ended < load.streams) failed['not ended'] = load.streams - ended;
  const atOnce = peak === load.streams;
  const [begun, done] = atOnce ? [from ?? first, to ?? last] : [first, last];
  const sorted = gapsMs.sorted();
  return {
    completed,
    failed,
    peak,
    allStartedMs: atOnce ? begun.atMs - first.atMs : null,
    windowMs: { from: performance.timeOrigin + begun.atMs, to: performance.timeOrigin + done.atMs },
    chunks: done.chunks - begun.chunks,
    cpuS: done.cpuS - begun.cpuS,
    gapP50Ms: percentile(sorted, 0.5),
    gapP99Ms: percentile(sorted, 0.99),
    gapMaxMs: percentile(sorted, 1),
  };
}
