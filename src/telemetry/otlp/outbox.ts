/**
 * What waits to be exported: bounded, one request at a time, tried again while the collector asks for patience. Whatever
 * becomes of it, nobody else waits.
 */
import { FlmError, reasonOf } from '../../lib/errors';
import { parseJson } from '../../lib/json';
import type { Log } from '../../lib/log';
import type { SignalTarget } from './environment';

/** Sends one request through egress. @throws when no answer came */
export type Post = (request: {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly timeoutMs: number;
}) => Promise<{ readonly status: number; readonly retryAfter: string | null; readonly text: string }>;

/** `later`: the collector is not there or has too much to do; `never`: it does not want this. */
type Delivery = 'delivered' | 'later' | 'never';

export interface Courier {
  deliver(body: string): Promise<Delivery>;
  /** How long the collector wants to be left alone after `later`. */
  patienceMs(): number;
}

/** Statuses after which OTLP wants the same request again. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const FIRST_PATIENCE_MS = 1_000;
const MAX_PATIENCE_MS = 30_000;

/** Carries bodies to one address, and says once when that goes wrong and once when it works again. */
export function createCourier(what: string, target: SignalTarget, post: Post, log: Log): Courier {
  let patienceMs = FIRST_PATIENCE_MS;
  let isFailing = false;

  function failed(reason: string, delivery: Delivery, asked: number | null): Delivery {
    if (!isFailing) log.warn(`${what} cannot be exported`, { to: new URL(target.url).host, reason });
    isFailing = true;
    if (delivery === 'later') patienceMs = Math.min(MAX_PATIENCE_MS, asked ?? patienceMs * 2);
    return delivery;
  }

  return {
    patienceMs: () => patienceMs,
    async deliver(text) {
      const body = target.gzip ? Bun.gzipSync(text) : text;
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'flm',
        ...(target.gzip ? { 'content-encoding': 'gzip' } : {}),
        ...target.headers,
      };
      try {
        const { url, timeoutMs } = target;
        const answer = await post({ url, headers, body, timeoutMs });
        if (answer.status >= 300) {
          const delivery = RETRYABLE.has(answer.status) ? 'later' : 'never';
          return failed(`it answers ${answer.status}`, delivery, secondsIn(answer.retryAfter));
        }
        const refused = refusedIn(answer.text);
        if (refused !== null) return failed(refused, 'delivered', null);
        if (isFailing) log.info(`${what} can be exported again`, { to: new URL(url).host });
        isFailing = false;
        patienceMs = FIRST_PATIENCE_MS;
        return 'delivered';
      } catch (error) {
        // An address that egress refuses will be refused again.
        const refused = error instanceof FlmError && error.code === 'EGRESS_REFUSED';
        return failed(reasonOf(error), refused ? 'never' : 'later', null);
      }
    },
  };
}

function secondsIn(header: string | null): number | null {
  return header !== null && /^\d{1,5}$/.test(header) ? Number(header) * 1_000 : null;
}

/** A collector may take a part and say why it did not take the rest. */
function refusedIn(text: string): string | null {
  const answer = parseJson(text) as { partialSuccess?: { errorMessage?: unknown } } | null | undefined;
  const message = answer?.partialSuccess?.errorMessage;
  return typeof message === 'string' && message !== '' ? `it did not take all of it: ${message}` : null;
}

export interface Outbox<Item> {
  /** Never waits; an item too many is dropped and counted. */
  add(item: Item): void;
  dropped(): number;
  /** Sends what waits, for `withinMs` at most; what is left then is dropped. */
  close(withinMs: number): Promise<void>;
}

export interface OutboxOptions<Item> {
  readonly courier: Courier;
  readonly encode: (items: readonly Item[]) => string;
  readonly queueSize: number;
  readonly batchSize: number;
  readonly delayMs: number;
}

export function createOutbox<Item>(options: OutboxOptions<Item>): Outbox<Item> {
  const { courier, encode, queueSize, delayMs } = options;
  const batchSize = Math.min(options.batchSize, queueSize);
  let waiting: Item[] = [];
  let timer: ReturnType<typeof setTimeout> | null = null;
  let sending: Promise<Delivery> | null = null;
  let isPatient = false;
  let closed = false;
  let dropped = 0;

  function schedule(afterMs: number): void {
    if (timer !== null || closed) return;
    timer = setTimeout(() => {
      timer = null;
      isPatient = false;
      void send();
    }, afterMs);
    timer.unref();
  }

  async function send(): Promise<Delivery> {
    if (sending !== null) return sending;
    const batch = waiting.slice(0, batchSize);
    if (batch.length === 0) return 'delivered';
    waiting = waiting.slice(batchSize);
    sending = courier.deliver(encode(batch));
    const delivery = await sending;
    sending = null;
    if (delivery === 'never') dropped += batch.length;
    if (delivery === 'later') {
      waiting = [...batch, ...waiting];
      dropped += Math.max(0, waiting.length - queueSize);
      waiting = waiting.slice(0, queueSize);
      isPatient = true;
      schedule(courier.patienceMs());
    } else if (waiting.length > 0) schedule(waiting.length >= batchSize ? 0 : delayMs);
    return delivery;
  }

  return {
    add(item) {
      if (closed || waiting.length >= queueSize) {
        dropped++;
        return;
      }
      waiting.push(item);
      if (waiting.length === batchSize && sending === null && !isPatient) {
        if (timer !== null) clearTimeout(timer);
        timer = null;
        schedule(0);
      } else schedule(delayMs);
    },
    dropped: () => dropped,
    async close(withinMs) {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      const all = (async () => {
        while ((sending !== null || waiting.length > 0) && (await send()) !== 'later');
      })();
      const limit = Promise.withResolvers<void>();
      const deadline = setTimeout(limit.resolve, withinMs);
      await Promise.race([all, limit.promise]);
      clearTimeout(deadline);
      dropped += waiting.length;
      waiting = [];
    },
  };
}
