/** Messages through the pipes between the processes of one FLM: a line of JSON each. */
import { isRecord, parseJson } from '../lib/json';
import type { Message } from './model';

/** More than any message has; a line without an end must not fill the memory. */
const MAX_LINE = 1024 * 1024;

/** Hands each message of `stream` to `take`, until that has enough; resolves then, or when the stream has ended. */
export async function readMessages(
  stream: ReadableStream<Uint8Array>,
  take: (message: Message) => 'enough' | undefined,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = (lines.pop() ?? '').slice(-MAX_LINE);
      for (const line of lines) {
        const message = parseMessage(line);
        if (message !== null && take(message) === 'enough') return;
      }
    }
  } catch {
    // A pipe that breaks has ended.
  }
}

export function lineOf(message: Message): string {
  return `${JSON.stringify(message)}\n`;
}

/** Null for a line that is no message: the runtime may write there, too, when it dies. */
function parseMessage(line: string): Message | null {
  const json = parseJson(line);
  if (!isRecord(json)) return null;
  if (json.type === 'bye') return { type: 'bye' };
  if (json.type === 'ready') return { type: 'ready', result: json.result };
  const { error, exit } = json;
  if (json.type !== 'failed' || !isRecord(error) || typeof exit !== 'number') return null;
  const { code, message, hint } = error;
  return {
    type: 'failed',
    error: {
      code: String(code),
      message: String(message),
      hint: typeof hint === 'string' ? hint : null,
    },
    exit,
  };
}
