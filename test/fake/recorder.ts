/**
 * What every recording of a real engine has in common: ask, cut what is too long, write the file. Which questions
 * are asked is the business of record-llamacpp.ts and record-ollama.ts.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { formatSections, type Section, UNFRAMED } from './golden';
import { type Ending, exchange, parseAnswer, type RawAnswer, type ReadOptions } from './raw-client';

export interface Recorder {
  /** Asks one question on a fresh connection and saves question, answer and what became of the connection. */
  record(name: string, url: string, request: Buffer, options?: ReadOptions, remark?: string): Promise<void>;
  /** Saves sections that were put together by hand. */
  save(name: string, sections: readonly Section[]): void;
}

/** A section whose title says everything. */
export function note(text: string): Section {
  return { title: text, bytes: Buffer.alloc(0) };
}

/** Writes into `test/golden/<folder>`. `plainChunks`: the longest stream, in chunks, that is kept as it came. */
export function createRecorder(folder: string, plainChunks = 12): Recorder {
  const directory = join(import.meta.dir, '..', 'golden', folder);
  mkdirSync(directory, { recursive: true });
  const save = (name: string, sections: readonly Section[]): void => {
    void Bun.write(join(directory, `${name}.http`), formatSections(sections));
    console.log(name);
  };
  return {
    save,
    async record(name, url, request, options = {}, remark) {
      const answer = await exchange(url, request, { watchMs: 600, timeoutMs: 60_000, ...options });
      save(name, sectionsOf(request, answer, remark, plainChunks));
    },
  };
}

/** The three sections of one exchange. */
export function sectionsOf(request: Buffer, answer: RawAnswer, remark?: string, plainChunks = 12): Section[] {
  const small = shrink(answer.wire, plainChunks);
  const facts = [describeEnding(answer.ending), ...small.notes, ...(remark ? [remark] : [])];
  const shownRequest = request.toString().replace(/(word ){99,}/, 'word … ');
  return [
    { title: 'request', bytes: Buffer.from(shownRequest) },
    { title: small.framed ? 'response' : UNFRAMED, bytes: small.wire },
    note(`connection: ${facts.join('; ')}`),
  ];
}

/** What a reader is told about the connection after an answer. */
export function describeEnding(ending: Ending): string {
  if (ending === 'open') return 'still open 600 ms later';
  return ending === 'fin' ? 'closed by the server (FIN)' : ending;
}

/** Leaves out the middle of long streams (whole chunks) and of long vectors; everything kept is as it came. */
function shrink(wire: Buffer, plainChunks: number): { wire: Buffer; notes: string[]; framed: boolean } {
  const answer = parseAnswer(wire);
  const head = wire.subarray(0, answer.head?.bytes ?? 0);
  if (answer.chunks && answer.chunks.length > plainChunks) {
    const { chunks } = answer;
    const kept = [...chunks.slice(0, 6), ...chunks.slice(-4), Buffer.alloc(0)].map((chunk) =>
      Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
    );
    const left = `${chunks.length - 10} chunks from the middle are left out here`;
    return { wire: Buffer.concat([head, ...kept]), notes: [left], framed: true };
  }
  const body = answer.body.toString();
  const short = body
    .replace(/(\[|"embedding":\[)((?:-?\d[^,\]]*,){7}[^,\]]+)(?:,-?\d[^,\]]*){500,}\]/g, '$1$2]')
    .replace(/"embedding":"(.{32})[^"]{500,}"/g, '"embedding":"$1"');
  if (short === body) return { wire, notes: [], framed: true };
  const cut = 'each vector has 576 numbers, 8 of them are shown (24 bytes in base64)';
  const framed = answer.chunks === null;
  return { wire: Buffer.concat([head, Buffer.from(short)]), notes: [cut], framed };
}
