/** What the main thread and a Worker of the request log say to each other. A batch of rows is a bare string. */
import type { DaySeal } from '../../db';
import type { ActivityAnchor, ActivityEvidence, AuditEvent } from '../contract';
import { ERRORS, type ErrorCode, type ErrorMeta, FlmError, reasonOf, toFlmError } from '../lib/errors';
import type { ActivityList, ActivityStats, ActivityVerdict, Erased, RefusalList, StatsQuery } from './model';
import type { ExportQuery, ListQuery } from './reader';
import type { WriterSettings } from './writer';

/** What can be asked of a Worker: argument and answer. `erase` and `close` are the writer's. */
export interface Questions {
  readonly list: (query: ListQuery) => ActivityList;
  readonly refusals: (query: Omit<ListQuery, 'running'>) => RefusalList;
  readonly stats: (query: StatsQuery) => ActivityStats;
  readonly piece: (query: ExportQuery) => { readonly text: string; readonly next: string | null };
  readonly verify: (evidence: ActivityEvidence) => ActivityVerdict;
  readonly erase: (ip: string) => Erased;
  /** Writes what waits, anchors it and closes the files; rows that could not be written. */
  readonly close: (nothing: null) => number;
}

export type Question = keyof Questions;
export type ArgumentOf<Name extends Question> = Parameters<Questions[Name]>[0];
export type AnswerOf<Name extends Question> = ReturnType<Questions[Name]>;

export interface OpenMessage {
  readonly kind: 'open';
  readonly role: 'writer' | 'reader';
  readonly dir: string;
  readonly seal: DaySeal;
  readonly settings: WriterSettings;
}

export interface AskMessage {
  readonly kind: 'ask';
  readonly id: number;
  readonly question: Question;
  readonly argument: unknown;
}

export type ToWorker =
  | string
  | OpenMessage
  | { readonly kind: 'configure'; readonly settings: WriterSettings }
  /** What is said of that `record`. */
  | { readonly kind: 'recorded'; readonly id: number; readonly isOnRecord: boolean }
  | AskMessage;

export type FromWorker =
  /** A batch is in the file. `leftOut`: rows of it for which there was no room within the quota. */
  | { readonly kind: 'written'; readonly batch: string; readonly leftOut: number; readonly commitMs: number }
  /** Nothing can be written at present; it is tried again every second. Null: it works again. */
  | { readonly kind: 'stuck'; readonly reason: string | null }
  | { readonly kind: 'anchor'; readonly details: ActivityAnchor }
  | { readonly kind: 'record'; readonly id: number; readonly event: AuditEvent }
  | { readonly kind: 'warn'; readonly message: string; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: SentError };

/** An error on its way between threads: classes do not survive it. */
export interface SentError {
  readonly code: ErrorCode;
  readonly meta: ErrorMeta;
  readonly reason: string;
}

export function sendError(error: unknown): SentError {
  const { code, meta, cause } = toFlmError(error);
  return { code, meta, reason: reasonOf(cause ?? error) };
}

export function receiveError({ code, meta, reason }: SentError): FlmError {
  return new FlmError(code in ERRORS ? code : 'INTERNAL_ERROR', { meta, cause: new Error(reason) });
}
