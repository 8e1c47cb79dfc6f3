/** A conversation on the terminal: a line is a question, the answer comes as it is made. */
import { createInterface } from 'node:readline/promises';
import { FlmError } from '../../src/lib/errors';
import { type Cli, INTERRUPTED } from '../cli';
import { count } from '../words';
import { ask, type Door, type Message, type Question, withImages } from './ask';

export type Settings = Omit<Question, 'messages'>;

const HELP =
  '/exit, /quit or Ctrl-D ends the conversation. Ctrl-C stops an answer. Everything else goes to the model.';

/** Talks until Ctrl-D, /exit, or Ctrl-C where no answer is coming. `images` go with the first question. */
export async function converse(
  cli: Cli,
  door: Door,
  settings: Settings,
  system: readonly Message[],
  images: readonly string[],
): Promise<void> {
  cli.note(`Talking to ${settings.model}.\n/help says what you can do, /exit or Ctrl-D ends it.`);
  if (images.length > 0) cli.note(`Your first message carries ${count(images.length, 'image')}.`);
  const messages: Message[] = [...system];
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
  let unsent = images;
  let answering: AbortController | null = null;
  let over = false;
  lines.on('close', () => {
    over = true;
  });
  // The terminal hands Ctrl-C over as a key here, and no signal comes of it.
  lines.on('SIGINT', () => {
    if (answering !== null) return answering.abort();
    cli.fail(INTERRUPTED);
    lines.close();
  });
  cli.interrupted.addEventListener('abort', () => lines.close(), { once: true });

  /** The model's answer to all that was said, or null when there is none; then it has been said why. */
  async function answer(): Promise<string | null> {
    answering = new AbortController();
    const signal = AbortSignal.any([settings.signal, answering.signal]);
    let problem: FlmError | null = null;
    try {
      return (await ask(door, { ...settings, stream: true, messages, signal }, cli.write)).content;
    } catch (error) {
      if (error instanceof FlmError) problem = error;
      else if (!answering.signal.aborted) throw error;
      return null;
    } finally {
      answering = null;
      cli.write('\n');
      if (problem !== null) cli.note(`Error: ${problem.message}`);
      if (problem?.hint != null) cli.note(problem.hint);
    }
  }

  /** Takes one line. Returns whether the conversation goes on. */
  async function take(line: string): Promise<boolean> {
    if (line === '/exit' || line === '/quit') return false;
    if (line === '/help') cli.note(HELP);
    else if (line !== '') {
      messages.push({ role: 'user', content: withImages(line, unsent) });
      const content = await answer();
      // A question that was not answered is not part of what the model is told next.
      if (content === null) messages.pop();
      else {
        messages.push({ role: 'assistant', content });
        unsent = [];
      }
    }
    return true;
  }

  lines.prompt();
  for await (const line of lines) {
    if (!(await take(line.trim()))) {
      lines.close();
      return;
    }
    if (!over) lines.prompt();
  }
  // It was ended behind the prompt, where the shell's own would come to stand.
  cli.note('');
  cli.interrupted.throwIfAborted();
}
