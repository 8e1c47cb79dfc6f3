/**
 * HTTP/1.1 messages as bytes: heads, bodies by length or in chunks. Shared by the fake server and the raw
 * client of the tests, which both must see framing that a normal HTTP library hides.
 */
export type HeaderPair = readonly [name: string, value: string];

export interface Head {
  /** The request line or the status line, without CRLF. */
  readonly start: string;
  /** In the order and spelling of the wire. */
  readonly headers: readonly HeaderPair[];
  /** Bytes up to and including the empty line. */
  readonly bytes: number;
}

export interface Body {
  /** The body without its framing. */
  readonly bytes: Buffer;
  /** The chunks of a chunked body, or null. */
  readonly chunks: readonly Buffer[] | null;
  /** Whether the framing said that this is all. */
  readonly complete: boolean;
  /** Where in the buffer the body ends; for an incomplete one, where its last whole chunk does. */
  readonly end: number;
}

/** Finds the first header of that name, in any case. */
export function findHeader(headers: readonly HeaderPair[], name: string): string | null {
  const wanted = name.toLowerCase();
  return headers.find(([key]) => key.toLowerCase() === wanted)?.[1] ?? null;
}

/** Reads the head at the start of a buffer; null until its empty line is there, or when a line has no colon. */
export function parseHead(buffer: Buffer): Head | null {
  const end = buffer.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [start = '', ...lines] = buffer.toString('latin1', 0, end).split('\r\n');
  const headers: HeaderPair[] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) return null;
    // One space belongs to the syntax; llama.cpp sends a header whose value is empty.
    headers.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  return { start, headers, bytes: end + 4 };
}

/**
 * Reads the body that starts at `offset` by Transfer-Encoding, then Content-Length (RFC 9112 §6.3).
 * Without either a request has no body and an answer lasts until the connection ends.
 */
export function readBody(buffer: Buffer, offset: number, head: Head, kind: 'request' | 'response'): Body {
  if (/\bchunked\b/i.test(findHeader(head.headers, 'transfer-encoding') ?? '')) {
    return readChunked(buffer, offset);
  }
  const length = findHeader(head.headers, 'content-length');
  if (length === null) {
    if (kind === 'request') return { bytes: Buffer.alloc(0), chunks: null, complete: true, end: offset };
    return { bytes: buffer.subarray(offset), chunks: null, complete: false, end: buffer.length };
  }
  const end = Math.min(buffer.length, offset + Number(length));
  return {
    bytes: buffer.subarray(offset, end),
    chunks: null,
    complete: end === offset + Number(length),
    end,
  };
}

function readChunked(buffer: Buffer, offset: number): Body {
  const chunks: Buffer[] = [];
  let at = offset;
  const body = (complete: boolean, end: number): Body => ({
    bytes: Buffer.concat(chunks),
    chunks,
    complete,
    end,
  });
  for (;;) {
    const lineEnd = buffer.indexOf('\r\n', at);
    if (lineEnd < 0) return body(false, at);
    const size = Number.parseInt(buffer.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) return body(false, at);
    if (size === 0) {
      // Trailers may follow; the message ends with an empty line.
      const end = buffer.indexOf('\r\n\r\n', lineEnd);
      return end < 0 ? body(false, at) : body(true, end + 4);
    }
    const end = lineEnd + 2 + size;
    if (buffer.length < end + 2) return body(false, at);
    chunks.push(buffer.subarray(lineEnd + 2, end));
    at = end + 2;
  }
}
