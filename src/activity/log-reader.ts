/** Everything that is only read of the request log, by the name of the question: in a Worker, or here while no FLM runs. */
import type { DayFiles } from './files';
import type { Ledger } from './ledger';
import type { AnswerOf, ArgumentOf, Question } from './messages';
import { createReader } from './reader';
import { verify } from './verify';

export type ReadQuestion = Exclude<Question, 'erase' | 'close'>;

export interface LogReader {
  answer<Name extends ReadQuestion>(question: Name, argument: unknown): AnswerOf<Name>;
  close(): void;
}

export function createLogReader(files: DayFiles, ledger: Ledger): LogReader {
  const reader = createReader(files);
  const answers = {
    list: reader.list,
    refusals: reader.refusals,
    stats: reader.stats,
    piece: reader.piece,
    verify: (evidence: ArgumentOf<'verify'>) => verify({ files, ledger, ...evidence }),
  } satisfies { [Name in ReadQuestion]: (argument: ArgumentOf<Name>) => AnswerOf<Name> };
  return {
    // Who asks has typed question and argument together.
    answer: (question, argument) => answers[question](argument as never) as never,
    close: reader.close,
  };
}
