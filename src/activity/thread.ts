/** A Worker of the request log, from the main thread's side: questions with answers, and what it tells by itself. */
import { FlmError } from '../lib/errors';
import {
  type AnswerOf,
  type ArgumentOf,
  type FromWorker,
  type OpenMessage,
  type Question,
  receiveError,
  type ToWorker,
} from './messages';

export type Told = Exclude<FromWorker, { readonly kind: 'answer' | 'failed' }>;

export interface Thread {
  post(message: ToWorker): void;
  /** @throws what the Worker throws; INTERNAL_ERROR when it breaks down or does not answer within `withinMs` */
  ask<Name extends Question>(
    question: Name,
    argument: ArgumentOf<Name>,
    withinMs?: number,
  ): Promise<AnswerOf<Name>>;
  /** Ends it at once. */
  end(): void;
}

export interface ThreadOptions {
  readonly spawn: () => Worker;
  readonly open: OpenMessage;
  readonly onTold: (told: Told) => void;
  /** It broke down; not called after `end`. */
  readonly onDied: (reason: string) => void;
}

interface Asked {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export function startThread({ spawn, open, onTold, onDied }: ThreadOptions): Thread {
  const worker = spawn();
  const asked = new Map<number, Asked>();
  let lastId = 0;
  let isOver = false;

  function over(reason: string): void {
    isOver = true;
    for (const { reject } of asked.values()) reject(broken(reason));
    asked.clear();
  }

  function died(reason: string): void {
    if (isOver) return;
    over(reason);
    worker.terminate();
    onDied(reason);
  }

  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind !== 'answer' && data.kind !== 'failed') {
      onTold(data);
      return;
    }
    const waiting = asked.get(data.id);
    asked.delete(data.id);
    if (data.kind === 'answer') waiting?.resolve(data.answer);
    else waiting?.reject(receiveError(data.error));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    died(event.message);
  };
  worker.addEventListener('close', () => died('it ended by itself'));
  worker.postMessage(open);

  return {
    post: (message) => worker.postMessage(message),
    ask(question, argument, withinMs) {
      if (isOver) return Promise.reject(broken('it has ended'));
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        const timer =
          withinMs === undefined
            ? null
            : setTimeout(() => {
                asked.delete(id);
                reject(broken('it does not answer'));
              }, withinMs);
        const settled = () => {
          if (timer !== null) clearTimeout(timer);
        };
        asked.set(id, {
          resolve(answer) {
            settled();
            // `Questions` says what belongs to what, on both sides.
            resolve(answer as AnswerOf<typeof question>);
          },
          reject(error) {
            settled();
            reject(error);
          },
        });
        worker.postMessage({ kind: 'ask', id, question, argument } satisfies ToWorker);
      });
    },
    end() {
      over('it was ended');
      worker.terminate();
    },
  };
}

function broken(reason: string): FlmError {
  return new FlmError('INTERNAL_ERROR', { cause: new Error(`the Worker of the request log: ${reason}`) });
}
