/** stdout and stderr: what is written, whether it arrived, and what a terminal must not be told. */
import { FlmError, reasonOf } from '../src/lib/errors';
import { terminalText } from './table';

export interface Output {
  /** Writes text; to a terminal without what it would obey: labels, names and answers come from outside. */
  write(text: string): void;
  /** Resolves when all of it has been handed over or has failed: with what went wrong, or null. */
  settled(): Promise<Error | null>;
}

/** Watches over a stream of the process. Nobody dies of a write that fails. */
export function outputTo(stream: NodeJS.WriteStream): Output {
  let failure: Error | null = null;
  let pending = 0;
  let wake = (): void => {};
  const onError = (error: Error | null | undefined): void => {
    failure ??= error ?? null;
    if (failure !== null) wake();
  };
  stream.on('error', onError);
  return {
    write(text) {
      pending++;
      stream.write(stream.isTTY === true ? terminalText(text) : text, (error) => {
        pending--;
        onError(error);
        if (pending === 0) wake();
      });
    },
    async settled() {
      while (pending > 0 && failure === null) await new Promise<void>((resume) => (wake = resume));
      return failure;
    },
  };
}

/** Whether the reader has had enough (`flm config list | head`, a log collector that died): that is no failure. */
export function isReaderGone(error: Error): boolean {
  return 'code' in error && error.code === 'EPIPE';
}

/** `hint`: what became of the thing that nobody has seen. */
export function outputFailed(error: Error, hint?: string): FlmError {
  return new FlmError('OUTPUT_FAILED', {
    meta: { reason: reasonOf(error) },
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}
