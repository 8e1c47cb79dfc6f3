/** Loopback ports: finding a free one and waiting until somebody answers on it. */
import type { Service } from './stage';

const START_LIMIT_MS = 10_000;

/** A port nobody listens on at this moment. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Waits until the port takes connections. @throws Error when the service ends first or takes longer than 10 s. */
export async function waitForPort(port: number, service: Service): Promise<void> {
  await waitFor(service, async () => {
    const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } });
    socket.end();
    return true;
  });
}

/** Waits until `GET url` answers 200. @throws Error when the service ends first or takes longer than 10 s. */
export async function waitForOk(url: string, service: Service): Promise<void> {
  await waitFor(service, async () => {
    const answer = await fetch(url);
    await answer.text();
    return answer.status === 200;
  });
}

/** Asks once a millisecond; an attempt that throws (nobody listens yet) counts as no. */
async function waitFor(service: Service, attempt: () => Promise<boolean>): Promise<void> {
  const startedMs = performance.now();
  while (!(await attempt().catch(() => false))) {
    if (service.ended()) throw new Error(`ended while starting: ${service.lastWords()}`);
    if (performance.now() - startedMs > START_LIMIT_MS)
      throw new Error(`no answer after ${START_LIMIT_MS} ms`);
    await Bun.sleep(1);
  }
}
