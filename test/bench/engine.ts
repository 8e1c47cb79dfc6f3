/**
 * The mock engine, a process of its own: `bun engine.ts <tokens per second>` prints its port and serves until killed.
 * One timer drives all streams, spread over its ticks, so that 1,000 of them leave the processor to the proxy.
 */
import type { Socket } from 'bun';
import { chatAnswer, modelList, notFound, type StreamFrames, streamFrames } from './answers';
import { WireReader } from './wire';

/** Streams take turns: each tick serves one slot, and a slot comes round once per token interval. */
const TICK_MS = 2;
const DEFAULT_TOKENS = 100;

interface Stream {
  connection: Connection;
  left: number;
  next: number;
  close: Buffer;
}

interface Connection {
  reader: WireReader;
  /** Bytes the kernel had no room for; sent on drain. */
  unsent: Buffer[];
  stream: Stream | null;
}

interface Asked {
  stream: boolean;
  tokens: number;
  usage: boolean;
}

function send(socket: Socket<Connection>, bytes: Buffer): void {
  const { unsent } = socket.data;
  if (unsent.length > 0) {
    unsent.push(bytes);
    return;
  }
  const written = Math.max(0, socket.write(bytes));
  if (written < bytes.length) unsent.push(bytes.subarray(written));
}

function drain(socket: Socket<Connection>): void {
  const waiting = socket.data.unsent.splice(0);
  for (const bytes of waiting) send(socket, bytes);
}

/** The streams of all connections, turned by one timer. */
class Wheel {
  readonly #slots: Set<{ socket: Socket<Connection>; stream: Stream }>[];
  readonly #frames: StreamFrames;
  readonly #startedMs = performance.now();
  readonly #slotMs: number;
  #turned = 0;
  #joined = 0;

  constructor(tokensPerSecond: number, frames: StreamFrames) {
    const intervalMs = 1000 / tokensPerSecond;
    const slots = Math.max(1, Math.round(intervalMs / TICK_MS));
    this.#slots = Array.from({ length: slots }, () => new Set());
    this.#slotMs = intervalMs / slots;
    this.#frames = frames;
  }

  join(socket: Socket<Connection>, stream: Stream): void {
    // Round robin, not "now": streams that arrive together would otherwise speak together for ever.
    this.#slots[this.#joined++ % this.#slots.length]?.add({ socket, stream });
  }

  /** Serves every slot that is due; catches up after a late timer, so that the rate holds. */
  turn(): void {
    const due = Math.floor((performance.now() - this.#startedMs) / this.#slotMs);
    for (; this.#turned < due; this.#turned++) {
      const slot = this.#slots[this.#turned % this.#slots.length];
      if (slot === undefined) continue;
      for (const entry of slot) if (!this.#speak(entry.socket, entry.stream)) slot.delete(entry);
    }
  }

  #speak(socket: Socket<Connection>, stream: Stream): boolean {
    if (stream.connection.stream !== stream) return false;
    const token = this.#frames.tokens[stream.next++ % this.#frames.tokens.length];
    if (stream.left-- > 0 && token !== undefined) {
      send(socket, token);
      return true;
    }
    stream.connection.stream = null;
    send(socket, stream.close);
    return false;
  }
}

/** Reads the three members the mock obeys; parsing is skipped when the body cannot ask for a stream. */
function readAsked(body: Buffer): Asked {
  if (!body.includes('"stream"')) return { stream: false, tokens: 0, usage: false };
  const value: unknown = JSON.parse(body.toString());
  const asked = value as {
    stream?: unknown;
    max_tokens?: unknown;
    stream_options?: { include_usage?: unknown };
  };
  return {
    stream: asked.stream === true,
    tokens: typeof asked.max_tokens === 'number' ? asked.max_tokens : DEFAULT_TOKENS,
    usage: asked.stream_options?.include_usage === true,
  };
}

function serve(tokensPerSecond: number): void {
  const frames = streamFrames(DEFAULT_TOKENS);
  const wheel = new Wheel(tokensPerSecond, frames);
  const answer = chatAnswer();
  const models = modelList();
  const missing = notFound();

  function open(socket: Socket<Connection>): void {
    let line = '';
    let body: Buffer = Buffer.alloc(0);
    const reader = new WireReader('client', {
      head(text) {
        line = text.slice(0, text.indexOf(' HTTP/'));
        body = Buffer.alloc(0);
      },
      body(bytes) {
        body = Buffer.concat([body, bytes]);
      },
      end() {
        if (line === 'GET /v1/models') return send(socket, models);
        if (line !== 'POST /v1/chat/completions') return send(socket, missing);
        const asked = readAsked(body);
        if (!asked.stream) return send(socket, answer);
        const close = asked.usage ? frames.closeWithUsage : frames.close;
        const stream = { connection: socket.data, left: asked.tokens, next: 0, close };
        socket.data.stream = stream;
        send(socket, frames.open);
        wheel.join(socket, stream);
      },
    });
    socket.data = { reader, unsent: [], stream: null };
  }

  function gone(socket: Socket<Connection>): void {
    socket.data.stream = null;
  }

  const server = Bun.listen<Connection>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open,
      data: (socket, bytes) => socket.data.reader.push(bytes),
      drain,
      close: gone,
      error: gone,
    },
  });
  setInterval(() => wheel.turn(), TICK_MS);
  console.log(server.port);
}

if (import.meta.main) serve(Number(process.argv[2] ?? 20));
