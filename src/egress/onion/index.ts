/**
 * Onion services of proxies: published through a tor on this machine, under an address that stays the same, published again
 * when tor was away, and gone when FLM is.
 */
import type { Clock } from '../../contract';
import { reasonOf } from '../../lib/errors';
import type { Log } from '../../lib/log';
import { connectControl, type OnionService, type TorControl } from './control';
import type { OnionStore } from './store';

export interface OnionSpec {
  readonly proxyId: string;
  /** On 127.0.0.1. */
  readonly port: number;
  readonly clients: readonly string[];
}

export interface OnionView {
  /** `….onion`; null while it never was published. */
  readonly address: string | null;
  readonly published: boolean;
  /** Why it is not. */
  readonly reason: string | null;
}

export interface Onion {
  view(): OnionView;
  /** Takes another address; the one before leads nowhere any more. @throws ONION_UNAVAILABLE */
  rotate(): Promise<void>;
  /** Takes it off the network; its key stays for the next time. */
  close(): void;
}

export interface Onions {
  /**
   * Publishes a service, and again whenever tor was away.
   * @throws ONION_UNAVAILABLE when it cannot be published now, unless `isPatient`
   */
  publish(spec: OnionSpec, isPatient: boolean): Promise<Onion>;
  /** Forgets the address of a proxy. */
  forget(proxyId: string): Promise<void>;
}

export interface OnionsOptions {
  readonly store: OnionStore;
  /** Where tor's control port is. */
  readonly control: () => string;
  readonly clock: Clock;
  readonly log: Log;
  readonly retryMs?: number;
}

/** How soon a tor that went away is asked again. */
const RETRY_MS = 2_000;

export function createOnions({ store, control, clock, log, retryMs = RETRY_MS }: OnionsOptions): Onions {
  async function publish(spec: OnionSpec, isPatient: boolean): Promise<Onion> {
    const { proxyId, port, clients } = spec;
    let connection: TorControl | null = null;
    let service: OnionService | null = null;
    let reason: string | null = null;
    let timer: ReturnType<typeof setTimeout> | null = null;
    let isClosed = false;

    async function open(): Promise<void> {
      const opened = await connectControl(control(), await store.password());
      try {
        const key = await store.key(proxyId);
        const added = await opened.addOnion({ key, port, clients });
        if (key === null) await store.putKey(proxyId, added.key, `${added.id}.onion`, clock.nowMs());
        service = added;
      } catch (error) {
        opened.close();
        throw error;
      }
      if (isClosed) return opened.close();
      connection = opened;
      reason = null;
      log.info('the onion service is published', { proxyId, address: `${service.id}.onion` });
      void opened.closed.then(() => {
        if (connection !== opened) return;
        connection = null;
        reason = 'tor has gone away';
        retry();
      });
    }

    function retry(): void {
      if (isClosed) return;
      timer = setTimeout(() => {
        open().catch((error: unknown) => {
          const why = reasonOf(error);
          if (why !== reason) log.warn('the onion service cannot be published', { proxyId, reason: why });
          reason = why;
          retry();
        });
      }, retryMs);
      timer.unref();
    }

    try {
      await open();
    } catch (error) {
      if (!isPatient) throw error;
      reason = reasonOf(error);
      log.warn('the onion service cannot be published', { proxyId, reason });
      retry();
    }

    return {
      view: () => ({
        address: service === null ? null : `${service.id}.onion`,
        published: connection !== null,
        reason: connection === null ? reason : null,
      }),
      async rotate() {
        const at = connection ?? (await connectControl(control(), await store.password()));
        const made = await at.addOnion({ key: null, port, clients });
        await store.putKey(proxyId, made.key, `${made.id}.onion`, clock.nowMs());
        if (connection === null) return at.close();
        const before = service;
        service = made;
        if (before !== null) await at.removeOnion(before.id);
      },
      close() {
        isClosed = true;
        if (timer !== null) clearTimeout(timer);
        const closing = connection;
        connection = null;
        closing?.close();
      },
    };
  }

  return { publish, forget: store.removeKey };
}
