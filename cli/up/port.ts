/** Finds a port to listen on, and says who has the one that was wanted. */
import type { App, ServeOptions } from '../../src/app';
import type { ConfigSnapshot } from '../../src/config';
import { whoListens } from '../../src/engines';
import { FlmError } from '../../src/lib/errors';
import type { Cli } from '../cli';

export interface WantedPlace {
  /** The port that was asked for on the command line, or null for the configured one or the next that is free. */
  readonly port: number | null;
  readonly bind: string;
  readonly allowPlaintext: boolean;
}

/** The part of the app that is needed here. */
interface Server extends Pick<App, 'egress'> {
  readonly config: { current(): Pick<ConfigSnapshot, 'proxy.port'> };
  serve(options: ServeOptions): Promise<unknown>;
}

/** How many ports after the configured one are tried. */
const ATTEMPTS = 20;

/**
 * Starts to serve. A port that somebody asked for by name is used or refused; the configured one gives way.
 * @throws PROXY_PORT_IN_USE naming who has it, and as App.serve
 */
export async function serveOnFreePort(
  app: Server,
  cli: Pick<Cli, 'note'>,
  { port, bind, allowPlaintext }: WantedPlace,
): Promise<void> {
  const first = port ?? app.config.current()['proxy.port'];
  const last = port === null ? Math.min(first + ATTEMPTS, 65_535) : first;
  for (let candidate = first; ; candidate++) {
    try {
      await app.serve({ bind, port: candidate, allowPlaintext });
      return;
    } catch (error) {
      if (!(error instanceof FlmError) || error.code !== 'PROXY_PORT_IN_USE') throw error;
      const by = candidate === first ? await whoListens(app.egress, bind, candidate) : 'another program';
      const taken = new FlmError('PROXY_PORT_IN_USE', { meta: { port: candidate, bind, by }, cause: error });
      if (candidate >= last) throw taken;
      if (candidate === first) cli.note(`${taken.message} FLM takes the next free one.`);
    }
  }
}
