/**
 * The way in through Tor: a listener of its own, on loopback, to which tor leads the visitors of an onion service. Whoever
 * comes through it comes from far away, however near tor is: nothing that is open to this machine is open here.
 */
import { type Handler, type Listener, listen, type Visitor } from './proxy';
import type { Entrance } from './ways-in';

/** What publishes onion services (the egress room). */
export interface OnionPublisher {
  publish(
    spec: { readonly proxyId: string; readonly port: number; readonly clients: readonly string[] },
    isPatient: boolean,
  ): Promise<PublishedOnion>;
  forget(proxyId: string): Promise<void>;
}

export interface PublishedOnion {
  view(): { readonly address: string | null; readonly published: boolean; readonly reason: string | null };
  rotate(): Promise<void>;
  close(): void;
}

export interface OnionDoor {
  readonly publication: PublishedOnion;
  readonly entrance: Entrance;
  readonly listener: Listener;
}

/**
 * In place of an address: tor does not tell visitors apart. One of OnionCat's network, which leads nowhere, so that limits
 * and bans of strangers hold for all of them together, and nothing for this machine holds for any.
 */
export const ONION_PEER = 'fd87:d87e:eb43::1';

/** @throws ONION_UNAVAILABLE, unless `isPatient` */
export async function openOnionDoor({
  proxyId,
  clients,
  entrance,
  publisher,
  isPatient,
}: {
  readonly proxyId: string;
  readonly clients: readonly string[];
  readonly entrance: Entrance;
  readonly publisher: OnionPublisher;
  readonly isPatient: boolean;
}): Promise<OnionDoor> {
  let publication: PublishedOnion | null = null;
  const handler: Handler = {
    async fetch(request, connection) {
      // RFC 9110 §15.5.20: whoever asks for another name has not come through Tor.
      if (!isFor(request, publication?.view().address ?? null)) return new Response(null, { status: 421 });
      return entrance.fetch(request, farAway(connection));
    },
  };
  const listener = listen({ bind: '127.0.0.1', port: 0, handler });
  try {
    publication = await publisher.publish({ proxyId, port: listener.port, clients }, isPatient);
    return { publication, entrance, listener };
  } catch (error) {
    await listener.stop(async () => {}, 0);
    throw error;
  }
}

/** Whether it asks for the service's own name, or for one below it, which tor leads here too. */
function isFor(request: Request, address: string | null): boolean {
  const host = (request.headers.get('host') ?? '').toLowerCase().replace(/:\d+$/, '');
  return address !== null && (host === address || host.endsWith(`.${address}`));
}

function farAway(connection: Visitor): Visitor {
  return {
    requestIP(request) {
      const peer = connection.requestIP(request);
      return peer === null ? null : { ...peer, address: ONION_PEER };
    },
    timeout: (request, seconds) => connection.timeout(request, seconds),
  };
}

/** Two ways in as one: what befalls the proxy befalls both. */
export function joinDoors(
  main: { readonly entrance: Entrance; readonly listener: Listener },
  { publication, entrance, listener }: OnionDoor,
): { readonly entrance: Entrance; readonly listener: Listener } {
  return {
    entrance: {
      fetch: main.entrance.fetch,
      become(stance) {
        main.entrance.become(stance);
        entrance.become(stance);
      },
      busy: () => main.entrance.busy() + entrance.busy(),
      abort() {
        main.entrance.abort();
        entrance.abort();
      },
    },
    listener: {
      bind: main.listener.bind,
      port: main.listener.port,
      async stop(drain, waitMs) {
        publication.close();
        const drained = drain();
        await Promise.all([main.listener.stop(() => drained, waitMs), listener.stop(() => drained, waitMs)]);
      },
      leave() {
        // Another process publishes it again; visitors who are here stay.
        publication.close();
        const both = [main.listener.leave(), listener.leave()];
        return both.every((left) => left);
      },
    },
  };
}
