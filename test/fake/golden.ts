/**
 * Recorded exchanges: the `*.http` files of test/golden, and the comparison of an answer with one of them.
 * A file is a row of sections, each `### <title>\n<bytes>\n`; bytes are exactly those of the wire.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findHeader, type Head, type HeaderPair, parseHead } from './message';
import { parseAnswer } from './raw-client';

export interface Section {
  readonly title: string;
  readonly bytes: Buffer;
}

export interface Recording {
  readonly name: string;
  readonly sections: readonly Section[];
  /** The first request, as sent. */
  readonly request: Buffer;
  /** The first answer. */
  readonly answer: Message;
  /** What the server did with the connection after it: the text behind `### connection:`. */
  readonly connection: string;
}

/** The parts of an answer that can be compared. */
export interface Message {
  readonly head: Head | null;
  readonly body: Buffer;
  /** Null when there are none, or when the recording did not keep them. */
  readonly chunks: readonly Buffer[] | null;
}

const GOLDEN = join(import.meta.dir, '..', 'golden');

/** The title of an answer whose chunk framing was not kept. */
export const UNFRAMED = 'response without chunk framing';

/** Reads `test/golden/<folder>/<name>.http`. */
export function readRecording(folder: string, name: string): Recording {
  const sections = parseSections(readFileSync(join(GOLDEN, folder, `${name}.http`)));
  const bytesOf = (title: string): Buffer | undefined =>
    sections.find((section) => section.title === title)?.bytes;
  const connection = sections.find(({ title }) => title.startsWith('connection: '))?.title.slice(12) ?? '';
  const unframed = bytesOf(UNFRAMED);
  const answer = unframed ? parseUnframed(unframed) : parseAnswer(bytesOf('response') ?? Buffer.alloc(0));
  return { name, sections, request: bytesOf('request') ?? Buffer.alloc(0), answer, connection };
}

/** Names all recordings of a folder, without `.http`. */
export function listRecordings(folder: string): string[] {
  const files = readdirSync(join(GOLDEN, folder)).filter((file) => file.endsWith('.http'));
  return files.map((file) => file.slice(0, -5)).sort();
}

/** The recorded answer's body; a template for a fake to fill in. */
export function readRecordedText(folder: string, name: string): string {
  return readRecording(folder, name).answer.body.toString();
}

/** The same as JSON. */
export function readRecordedJson(folder: string, name: string): unknown {
  return JSON.parse(readRecordedText(folder, name));
}

/** Writes sections the way readRecording reads them. */
export function formatSections(sections: readonly Section[]): Buffer {
  return Buffer.concat(
    sections.flatMap(({ title, bytes }) => [
      Buffer.from(`### ${title}\n`),
      ...(bytes.length > 0 ? [bytes, Buffer.from('\n')] : []),
    ]),
  );
}

function parseSections(file: Buffer): Section[] {
  // latin1 keeps every byte one character wide, so that the text can be split and turned back unharmed.
  const text = file.toString('latin1');
  const titles = [...text.matchAll(/^### (.*)\n/gm)];
  return titles.map((match, index) => {
    const start = match.index + match[0].length;
    const end = titles[index + 1]?.index ?? text.length;
    const bytes = Buffer.from(text.slice(start, Math.max(start, end - 1)), 'latin1');
    return { title: Buffer.from(match[1] ?? '', 'latin1').toString(), bytes };
  });
}

/** Splits an SSE body into its events' data; comments and other lines stay as they are. */
export function readEvents(body: Buffer): string[] {
  const events = body.toString().split(/\r?\n\r?\n/);
  return events.filter((event) => event !== '').map((event) => event.replace(/^data: /, ''));
}

/** Splits a body of one JSON value a line. */
export function readLines(body: Buffer): string[] {
  return body
    .toString()
    .split(/\r?\n/)
    .filter((line) => line !== '');
}

/** One JSON value with the values masked: keys in order, types of leaves, each different array element once. */
export function maskJson(value: unknown): unknown {
  if (Array.isArray(value)) {
    const shapes = new Map(value.map(maskJson).map((shape) => [JSON.stringify(shape), shape]));
    return [...shapes.values()];
  }
  if (value !== null && typeof value === 'object') {
    return Object.entries(value).map(([key, inner]) => [key, maskJson(inner)]);
  }
  return value === null ? 'null' : typeof value;
}

/** Headers with the values masked that differ from one answer to the next. */
export function maskHeaders(headers: readonly HeaderPair[]): string[] {
  return headers.map(([name, value]) =>
    /^(content-length|date|etag|process-start-time-unix|x-request-id)$/i.test(name)
      ? `${name}: *`
      : // Redirects name the host that was asked.
        `${name}: ${value.replace(/^http:\/\/[^/]*\//, 'http://*/')}`,
  );
}

/**
 * The shape of an answer: status line, headers with changing values masked, JSON keys and types. Of a stream: the
 * different shapes of its events in the order of their first appearance, and, when both sides know their chunks,
 * which events share one.
 */
export function maskAnswer(message: Message, framing: boolean): unknown {
  const status = message.head?.start ?? null;
  const headers = maskHeaders(message.head?.headers ?? []);
  const type = findHeader(message.head?.headers ?? [], 'content-type') ?? '';
  if (!/^(text\/event-stream|application\/x-ndjson)/.test(type)) {
    return { status, headers, body: maskText(message.body.toString()) };
  }
  const groups = framing && message.chunks ? message.chunks : [message.body];
  const read = type.startsWith('text/event-stream') ? readEvents : readLines;
  const shapes = groups.map((group) => read(group).map(maskEvent));
  const events = framing ? shapes.map((group) => group.join(' + ')) : shapes.flat();
  return { status, headers, events: [...new Set(events)] };
}

function maskEvent(text: string): string {
  const [, name = '', data = text] = /^(event: .*)\r?\ndata: (.*)$/s.exec(text) ?? [];
  return `${name}${maskText(data)}`;
}

function maskText(text: string): string {
  try {
    return JSON.stringify(maskJson(JSON.parse(text)));
  } catch {
    // Prometheus text: the samples' values change.
    return text.replace(/ [-+.\de]+$/gm, ' *');
  }
}

function parseUnframed(wire: Buffer): Message {
  const head = parseHead(wire);
  return { head, body: wire.subarray(head?.bytes ?? 0), chunks: null };
}
