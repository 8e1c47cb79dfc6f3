/** Closed-loop load: each connection sends a chat request, waits for the whole answer, and sends the next. */
import type { Socket } from 'bun';
import { cpuSeconds } from './proc';
import { chatRequest } from './request';
import { percentile, Samples } from './stats';
import { statusOf, WireReader } from './wire';

export interface HttpLoad {
  kind: 'http';
  port: number;
  authorization: string;
  connections: number;
  warmupMs: number;
  durationMs: number;
  /** Processes whose processor time is charged to the requests. */
  pids: readonly number[];
}

export interface HttpResult {
  requests: number;
  seconds: number;
  /** Answers that were not 200, by status, and lost connections under "closed". */
  failed: Record<string, number>;
  /** Null when no request succeeded. */
  p50Ms: number | null;
  p99Ms: number | null;
  /** Processor time of `pids` in the measured window. */
  cpuS: number;
}

/** Loads the port for warm-up plus duration; only the duration is counted. @throws when nobody listens. */
export async function loadHttp(load: HttpLoad): Promise<HttpResult> {
  const request = chatRequest({ port: load.port, authorization: load.authorization, stream: null });
  const latenciesMs = new Samples();
  let failed: Record<string, number> = {};
  let running = true;

  const fail = (why: string) => {
    failed[why] = (failed[why] ?? 0) + 1;
  };

  async function connect(): Promise<void> {
    let sentMs = 0;
    let status = 0;
    const ask = (socket: Socket<undefined>) => {
      sentMs = performance.now();
      socket.write(request);
    };
    let socket: Socket<undefined> | null = null;
    const reader = new WireReader('server', {
      head(text) {
        status = statusOf(text);
      },
      body() {},
      end() {
        if (status === 200) latenciesMs.add(performance.now() - sentMs);
        else fail(String(status));
        if (running && socket !== null) ask(socket);
      },
    });
    const lost = () => {
      if (!running) return;
      fail('closed');
      // Not at once: a proxy that refuses connections would turn this into a busy loop.
      setTimeout(() => connect().catch(() => fail('refused')), 10);
    };
    socket = await Bun.connect<undefined>({
      hostname: '127.0.0.1',
      port: load.port,
      socket: {
        data: (_, bytes) => reader.push(bytes),
        close: lost,
      },
    });
    ask(socket);
  }

  await Promise.all(Array.from({ length: load.connections }, connect));
  await Bun.sleep(load.warmupMs);
  latenciesMs.clear();
  failed = {};
  const startedMs = performance.now();
  const cpuBeforeS = cpuSeconds(load.pids);
  await Bun.sleep(load.durationMs);
  const seconds = (performance.now() - startedMs) / 1000;
  const cpuS = cpuSeconds(load.pids) - cpuBeforeS;
  running = false;
  const sorted = latenciesMs.sorted();
  const [p50Ms, p99Ms] = [percentile(sorted, 0.5), percentile(sorted, 0.99)];
  return { requests: sorted.length, seconds, failed, p50Ms, p99Ms, cpuS };
}
