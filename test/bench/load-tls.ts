/** Closed-loop load over TLS, on connections that are kept or on a new one for each request. */
import type { Socket } from 'bun';
import { cpuSeconds } from './proc';
import { chatRequest } from './request';
import { percentile, Samples } from './stats';
import { statusOf, WireReader } from './wire';

export interface TlsLoad {
  kind: 'tls';
  port: number;
  authorization: string;
  /** The authority of the certificate, PEM. It holds the name localhost. */
  ca: string;
  connections: number;
  /** Whether each request has a connection, and a full handshake, of its own. */
  fresh: boolean;
  warmupMs: number;
  durationMs: number;
  /** Processes whose processor time is charged to the requests. */
  pids: readonly number[];
}

export interface TlsResult {
  requests: number;
  seconds: number;
  /** Requests that were not answered with 200. */
  failed: number;
  p50Ms: number | null;
  p99Ms: number | null;
  cpuS: number;
}

/** Loads the port for warm-up plus duration; only the duration is counted. @throws when nobody listens. */
export async function loadTls(load: TlsLoad): Promise<TlsResult> {
  const { port, authorization, ca, fresh } = load;
  const request = chatRequest({ port, authorization, stream: null });
  const latenciesMs = new Samples();
  let failed = 0;
  let running = true;

  /** One connection, for one request or for as many as there is time for. */
  function useConnection(): Promise<void> {
    return new Promise((resolve) => {
      let beganMs = performance.now();
      let status = 0;
      let own: Socket<undefined> | null = null;
      const over = () => {
        own?.end();
        resolve();
      };
      const reader = new WireReader('server', {
        head(text) {
          status = statusOf(text);
        },
        body() {},
        end() {
          if (status === 200) latenciesMs.add(performance.now() - beganMs);
          else failed++;
          if (!running || fresh) return over();
          beganMs = performance.now();
          own?.write(request);
        },
      });
      const lost = () => {
        if (running && status === 0) failed++;
        resolve();
      };
      Bun.connect<undefined>({
        hostname: '127.0.0.1',
        port,
        tls: { ca, serverName: 'localhost' },
        socket: {
          handshake(socket, success) {
            if (!success) return lost();
            own = socket;
            socket.write(request);
          },
          data: (_, bytes) => reader.push(bytes),
          close: lost,
          error: lost,
        },
      }).catch(lost);
    });
  }

  async function client(): Promise<void> {
    while (running) await useConnection();
  }

  const clients = Array.from({ length: load.connections }, client);
  await Bun.sleep(load.warmupMs);
  latenciesMs.clear();
  failed = 0;
  const startedMs = performance.now();
  const cpuBeforeS = cpuSeconds(load.pids);
  await Bun.sleep(load.durationMs);
  const seconds = (performance.now() - startedMs) / 1000;
  const cpuS = cpuSeconds(load.pids) - cpuBeforeS;
  running = false;
  const sorted = latenciesMs.sorted();
  await Promise.race([Promise.all(clients), Bun.sleep(1_000)]);
  return {
    requests: sorted.length,
    seconds,
    failed,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    cpuS,
  };
}
