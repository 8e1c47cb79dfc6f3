/** Counts the events of one server-sent event stream however it is cut; comments (pings) are not events. */

const NEWLINE = 0x0a;
const COLON = 0x3a;
const DONE = 'data: [DONE]';

/** Feed it payload bytes; `events` and `done` say what has been read so far. */
export class SseCounter {
  events = 0;
  /** True once the end marker was an event. */
  done = false;
  #atStart = true;
  #comment = false;
  #newline = false;
  /** The beginning of the current event, as much as the end marker has. */
  #prefix = '';

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#atStart) this.#begin(bytes[at]);
      const end = this.#findEnd(bytes, at);
      const to = end < 0 ? bytes.length : end;
      if (this.#prefix.length < DONE.length) {
        this.#prefix += bytes.toString('latin1', at, Math.min(to, at + DONE.length - this.#prefix.length));
      }
      if (end < 0) {
        this.#newline = bytes[bytes.length - 1] === NEWLINE;
        return;
      }
      this.#finish();
      at = end;
    }
  }

  #begin(first: number | undefined): void {
    this.#atStart = false;
    this.#newline = false;
    this.#comment = first === COLON;
    this.#prefix = '';
  }

  #findEnd(bytes: Buffer, at: number): number {
    if (this.#newline && bytes[at] === NEWLINE) return at + 1;
    this.#newline = false;
    const end = bytes.indexOf('\n\n', at, 'latin1');
    return end < 0 ? -1 : end + 2;
  }

  #finish(): void {
    if (!this.#comment) this.events++;
    if (this.#prefix === DONE) this.done = true;
    this.#atStart = true;
  }
}
