/**
 * An outbound room in which only the places of a map exist: `http://127.0.0.1:8080` leads to a fake on a port of its
 * own, everything else is refused. So that tests of detection see nothing of the machine they run on.
 */
import { createEgress, type Egress, EgressError } from '../../src/egress';
import { directTransport } from '../../src/egress/direct';
import { systemClock } from '../../src/lib/clock';

export interface EgressMap extends Disposable {
  readonly egress: Egress;
  /** Origins that somebody asked for, in order. */
  readonly asked: string[];
  /** Where an origin leads; an origin that is not in it does not exist. */
  readonly places: Map<string, string>;
}

export function egressMap(places: Readonly<Record<string, string>> = {}): EgressMap {
  const map = new Map(Object.entries(places));
  const asked: string[] = [];
  const direct = directTransport(systemClock);
  const egress = createEgress({
    clock: systemClock,
    resolve: async (host) => {
      if (host === 'localhost') return ['127.0.0.1'];
      if ([...map.keys()].some((origin) => new URL(origin).hostname === host)) return ['10.0.0.9'];
      throw new Error('ENOTFOUND');
    },
    transport: {
      async send(request) {
        const { origin } = new URL(request.url);
        asked.push(origin);
        const target = map.get(origin);
        if (target === undefined) throw new EgressError('refused', 'nothing listens there');
        return direct.send({ ...request, url: target + request.url.slice(origin.length) });
      },
      close: direct.close,
    },
  });
  return { egress, asked, places: map, [Symbol.dispose]: egress.close };
}
