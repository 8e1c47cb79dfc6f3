/**
 * The Worker of the request log. As the writer it owns the files: a commit takes milliseconds, which the main thread does
 * not have. As a reader it answers questions that take longer. The key of the files comes in the first message.
 */
import { createDayOpener, sqliteCode } from '../../db/days';
import { systemClock as clock } from '../lib/clock';
import { FlmError, reasonOf } from '../lib/errors';
import { createDayFiles } from './files';
import { createLedger } from './ledger';
import { createLogReader, type LogReader } from './log-reader';
import { type AskMessage, type FromWorker, type OpenMessage, sendError, type ToWorker } from './messages';
import { ledgerPath } from './paths';
import { decodeBatch } from './wire';
import { createWriter, type Writer, type WriterSettings } from './writer';

declare const self: Worker;

const RETRY_MS = 1_000;
const TICK_MS = 1_000;

const tell = (message: FromWorker) => self.postMessage(message);

/** Batches that are not written yet, oldest first. The main thread sends few at a time. */
const waiting: string[] = [];
let writer: Writer | null = null;
let reader: LogReader | null = null;
let settings: WriterSettings | null = null;
let isStuck = false;
let retry: Timer | null = null;
/** Whoever waits until something is on record. */
const recording = new Map<number, (isOnRecord: boolean) => void>();
let lastRecord = 0;
/** Opening takes a moment; what is said meanwhile is heard afterwards. */
let opening: Promise<void> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (typeof data !== 'string' && data.kind === 'open') opening = open(data);
  else if (writer !== null || reader !== null) hear(data);
  else opening = opening.then(() => hear(data));
};

async function open({ role, dir, seal, settings: first }: OpenMessage): Promise<void> {
  const opener = await createDayOpener(seal, clock);
  const files = createDayFiles(dir, opener);
  const ledger = createLedger(ledgerPath(dir), seal.keyBytes);
  settings = first;
  if (role === 'reader') {
    reader = createLogReader(files, ledger);
    return;
  }
  const make = () =>
    createWriter({
      files,
      ledger,
      clock,
      settings: settings ?? first,
      anchor: (details) => tell({ kind: 'anchor', details }),
      record(event, onRecord) {
        recording.set(++lastRecord, onRecord);
        tell({ kind: 'record', id: lastRecord, event });
      },
      warn: (message, fields) => tell({ kind: 'warn', message, fields: plain(fields) }),
    });
  await untilItWorks(() => {
    writer = make();
  });
  setInterval(() => {
    // While rows cannot be written, nothing else can.
    if (retry === null) attempt(() => writer?.tick());
  }, TICK_MS);
}

/** The disk may be full at the start as well. */
async function untilItWorks(work: () => void): Promise<void> {
  while (!attempt(work)) await Bun.sleep(RETRY_MS);
}

/** Whether it worked. What keeps it from working is told once. */
function attempt(work: () => void): boolean {
  try {
    work();
    if (isStuck) tell({ kind: 'stuck', reason: null });
    isStuck = false;
    return true;
  } catch (error) {
    if (!isStuck) tell({ kind: 'stuck', reason: reasonOf(error) });
    isStuck = true;
    return false;
  }
}

function hear(message: Exclude<ToWorker, OpenMessage>): void {
  if (typeof message === 'string') {
    waiting.push(message);
    if (retry === null) writeAll();
  } else if (message.kind === 'configure') {
    settings = message.settings;
    writer?.configure(message.settings);
  } else if (message.kind === 'recorded') {
    const { id, isOnRecord } = message;
    const onRecord = recording.get(id);
    recording.delete(id);
    if (onRecord !== undefined) attempt(() => onRecord(isOnRecord));
  } else {
    answer(message);
  }
}

/** Writes what waits; when that does not work, tries again later. */
function writeAll(): void {
  retry = null;
  for (let text = waiting[0]; text !== undefined; text = waiting[0]) {
    if (!writeOne(text)) {
      retry = setTimeout(writeAll, RETRY_MS);
      return;
    }
    waiting.shift();
  }
}

function writeOne(text: string): boolean {
  const batch = decodeBatch(text);
  const startMs = clock.monotonicMs();
  let leftOut = 0;
  const isWritten = attempt(() => {
    try {
      leftOut = writer?.write(batch) ?? 0;
    } catch (error) {
      if (isStorage(error)) throw error;
      // A row that can never be written must not keep all others from it.
      tell({
        kind: 'warn',
        message: 'rows of the request log could not be written',
        fields: plain({ error }),
      });
      leftOut = batch.rows.length;
    }
  });
  if (isWritten) tell({ kind: 'written', batch: batch.id, leftOut, commitMs: clock.monotonicMs() - startMs });
  return isWritten;
}

function isStorage(error: unknown): boolean {
  if (error instanceof FlmError) return error.code !== 'INTERNAL_ERROR';
  if (sqliteCode(error) !== null) return sqliteCode(error) !== 'SQLITE_CONSTRAINT';
  return error instanceof Error && 'syscall' in error;
}

function answer({ id, question, argument }: AskMessage): void {
  try {
    tell({ kind: 'answer', id, answer: answerTo(question, argument) });
  } catch (error) {
    tell({ kind: 'failed', id, error: sendError(error) });
  }
}

function answerTo(question: AskMessage['question'], argument: unknown): unknown {
  // Both ends are one program, and `Questions` types what is asked.
  if (question === 'erase') return writer?.erase(argument as string);
  if (question === 'close') return close();
  return reader?.answer(question, argument);
}

/** Rows that could not be written. */
function close(): number {
  if (retry !== null) clearTimeout(retry);
  writeAll();
  if (retry !== null) clearTimeout(retry);
  const lost = waiting.reduce((sum, text) => sum + decodeBatch(text).rows.length, 0);
  writer?.close();
  reader?.close();
  return lost;
}

/** Errors as text: they do not survive the way. */
function plain(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? reasonOf(value) : value]),
  );
}
