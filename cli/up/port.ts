/** Finds a port to listen on, and says who has the one that was wanted. */
import type { App, ServeOptions } from '../../src/app';
import type { ConfigSnapshot, SettingView } from '../../src/config';
import { whoListens } from '../../src/engines';
import { FlmError } from '../../src/lib/errors';
import type { Mode } from '../../src/listeners';
import type { Cli } from '../cli';

export interface WantedPlace {
  /** The port that was asked for on the command line, or null for the configured one. */
  readonly port: number | null;
  readonly bind: string;
  readonly allowPlaintext: boolean;
  readonly mode: Mode;
  /** Null: the port after the other one. */
  readonly httpsPort: number | null;
}

/** The part of the app that is needed here. */
interface Server extends Pick<App, 'egress'> {
  readonly config: {
    current(): Pick<ConfigSnapshot, 'proxy.port'>;
    get(key: 'proxy.port'): Promise<Pick<SettingView, 'source'>>;
  };
  serve(options: ServeOptions): Promise<unknown>;
}

/** How many ports after the default one are tried. */
const ATTEMPTS = 20;

/**
 * Starts to serve. A port that somebody asked for, wherever that was said, is used or refused: clients know it. The
 * default one gives way.
 * @throws PROXY_PORT_IN_USE naming who has it, and as App.serve
 */
export async function serveOnFreePort(
  app: Server,
  cli: Pick<Cli, 'note'>,
  { port, bind, allowPlaintext, mode, httpsPort }: WantedPlace,
): Promise<void> {
  const first = port ?? app.config.current()['proxy.port'];
  const asked = port !== null || (await app.config.get('proxy.port')).source !== 'default';
  const last = asked ? first : Math.min(first + ATTEMPTS, 65_535);
  for (let candidate = first; ; candidate++) {
    try {
      await app.serve({
        bind,
        port: candidate,
        allowPlaintext,
        mode,
        ...(httpsPort === null ? {} : { httpsPort }),
      });
      return;
    } catch (error) {
      if (!(error instanceof FlmError) || error.code !== 'PROXY_PORT_IN_USE') throw error;
      const busy = typeof error.meta.port === 'number' ? error.meta.port : candidate;
      const by = candidate === first ? await whoListens(app.egress, bind, busy) : 'another program';
      const taken = new FlmError('PROXY_PORT_IN_USE', { meta: { port: busy, bind, by }, cause: error });
      // One that was asked for does not become free by taking another one beside it.
      if (candidate >= last || busy === httpsPort) throw taken;
      if (candidate === first) cli.note(`${taken.message} FLM takes the next free one.`);
    }
  }
}
