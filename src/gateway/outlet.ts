/**
 * The client's end of a stream. Whole events go in, so a ping fits between any two of them; what comes before the
 * response is open waits; a client that takes nothing makes the source pause.
 */

import type { Clock } from '../contract';
import type { BodyFlow } from '../egress';
import { FlmError, toFlmError } from '../lib/errors';
import type { Dialect, ToldError } from './dialects';
import type { Exchange } from './exchanges';

/** The part of Bun's direct stream controller that is used. `write` returns a promise while the client takes nothing. */
interface DirectController {
  write(bytes: Uint8Array): number | Promise<number>;
  flush(): void;
  end(): void;
}

export class Outlet {
  readonly #exchange: Exchange;
  readonly #dialect: Dialect;
  readonly #clock: Clock;
  /** Where the events come from at the moment. */
  #source: BodyFlow | null = null;
  #controller: DirectController | null = null;
  /** What came before the response was opened. */
  #early: Uint8Array[] | null = [];
  #sentMs: number;
  /** The events that were written last. */
  #last: Uint8Array = new Uint8Array(0);
  #blocked = false;
  #closed = false;
  readonly #finished = Promise.withResolvers<void>();

  constructor(exchange: Exchange, dialect: Dialect, clock: Clock) {
    this.#exchange = exchange;
    this.#dialect = dialect;
    this.#clock = clock;
    this.#sentMs = exchange.startedMs;
  }

  /** The body of the response. The runtime's direct streams cost a third less than queued ones. */
  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      type: 'direct',
      pull: (controller: DirectController) => this.#open(controller),
      cancel: () => {
        this.#abandon();
        this.#exchange.abort(new FlmError('CLIENT_CLOSED_REQUEST'));
      },
    } as unknown as UnderlyingDefaultSource<Uint8Array>);
  }

  /** From now on the events come from `source`, which is paused while nobody takes them. */
  attach(source: BodyFlow): void {
    this.#source = source;
    if (this.#isHeldUp()) source.pause();
  }

  /** The source has ended, one way or the other. */
  detach(): void {
    this.#source = null;
  }

  write(bytes: Uint8Array): void {
    this.#last = bytes;
    this.#put(bytes);
  }

  /** Ends the stream after what was written. */
  close(): void {
    this.#closed = true;
    if (this.#controller === null) return;
    this.#controller.end();
    this.#controller = null;
    this.#finished.resolve();
  }

  /** Ends the stream with one error event. A broken answer must not look complete: no end follows. */
  fail(error: unknown): void {
    if (isGone(error)) {
      this.#abandon();
      return;
    }
    this.tell(toFlmError(error));
  }

  /** As `fail`, for an error that is known. */
  tell(error: ToldError): void {
    this.write(this.#dialect.errorEvent(error, this.#exchange.id, this.#last));
    this.close();
  }

  /** Sends a ping when nothing was sent for `intervalMs`. */
  pingAfter(intervalMs: number, nowMs: number): void {
    // A client that does not take what is there is not waiting for a ping either.
    if (this.#controller === null || this.#blocked || nowMs - this.#sentMs < intervalMs) return;
    this.#put(this.#dialect.ping);
  }

  /** Nobody is at the other end any more. */
  #abandon(): void {
    this.#closed = true;
    this.#controller = null;
    this.#finished.resolve();
  }

  /** The response is open until the returned promise resolves. */
  #open(controller: DirectController): Promise<void> {
    this.#controller = controller;
    const early = this.#early ?? [];
    this.#early = null;
    // The headers leave with the first bytes: after the grace there are none yet, and somebody waits for the status.
    if (early.length === 0) early.push(this.#dialect.ping);
    for (const bytes of early) this.#hand(controller, bytes);
    if (this.#closed) this.close();
    else if (!this.#blocked) this.#source?.resume();
    return this.#finished.promise;
  }

  #put(bytes: Uint8Array): void {
    this.#sentMs = this.#clock.monotonicMs();
    if (this.#controller !== null) this.#hand(this.#controller, bytes);
    // One read ahead is enough: the engine waits until somebody listens.
    else if (this.#early?.push(bytes)) this.#source?.pause();
  }

  /** Whether what is written would only pile up. */
  #isHeldUp(): boolean {
    return this.#blocked || (this.#early !== null && this.#early.length > 0);
  }

  #hand(controller: DirectController, bytes: Uint8Array): void {
    const written = controller.write(bytes);
    controller.flush();
    if (!(written instanceof Promise) || this.#blocked) return;
    this.#blocked = true;
    this.#source?.pause();
    const goOn = () => {
      this.#blocked = false;
      this.#source?.resume();
    };
    written.then(goOn, goOn);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof FlmError && error.code === 'CLIENT_CLOSED_REQUEST';
}
