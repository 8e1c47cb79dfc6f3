/** `flm chat`: talks to a model through the running proxy. */
import { createInterface } from 'node:readline/promises';
import { FlmError } from '../../src/lib/errors';
import { isRecord } from '../../src/lib/json';
import { requireRunning } from '../backend';
import { type Cli, withProgress } from '../cli';
import { command } from '../command';
import { type Answer, ask, type Content, type Door, type Message, type Question } from './ask';
import { imageFromFile, imageFromUrl } from './images';

type Settings = Omit<Question, 'messages'>;

export default command({
  about: 'Chat with a model through FLM. Without a prompt: a conversation, or what is piped in.',
  args: {
    prompt: { type: 'positional', required: false, description: 'What to ask.' },
    model: {
      type: 'string',
      alias: 'm',
      description: 'Model name or flm://<engine>/<model>. Default: the first there is.',
    },
    system: { type: 'string', alias: 's', description: 'How the model should behave.' },
    stream: { type: 'boolean', description: 'Print the answer as it comes. Always so in a conversation.' },
    temperature: { type: 'string', valueHint: '0-2', description: 'How freely it answers.' },
    'max-tokens': { type: 'string', valueHint: 'N', description: 'Longest answer, in tokens.' },
    image: { type: 'string', valueHint: 'FILE', description: 'An image to look at (repeatable).' },
    'image-url': {
      type: 'string',
      valueHint: 'URL',
      description: 'An image on the internet to look at (repeatable).',
    },
  },
  repeatable: ['image', 'image-url'],
  takesRest: true,
  examples: [
    'flm chat "Why is the sky blue?"',
    'flm chat --stream --system "Answer in French." "Who are you?"',
    'git diff | flm chat "Write a commit message for this change."',
    'flm chat --model flm://ollama-default/llava --image cat.png "What is this?"',
    'flm chat',
  ],
  async run({ cli, args, all, rest }) {
    const words = [args.prompt, ...rest].filter((word) => word !== undefined).join(' ');
    const client = await requireRunning(cli);
    const { listen_addr: listenAddr } = await client.status();
    if (listenAddr === null) throw new FlmError('PROXY_NOT_RUNNING');
    const { egress } = cli;
    const door: Door = {
      egress,
      listenAddr,
      issueKey: async () => (await client.keys.ephemeral()).plain_key,
    };
    const settings: Settings = {
      model: args.model ?? (await firstModel(client.models)),
      stream: args.stream === true,
      signal: cli.interrupted,
      ...(args.temperature === undefined
        ? {}
        : { temperature: parseTemperature('--temperature', args.temperature) }),
      ...(args['max-tokens'] === undefined
        ? {}
        : { maxTokens: parseTokens('--max-tokens', args['max-tokens']) }),
    };
    const system: Message[] = args.system === undefined ? [] : [{ role: 'system', content: args.system }];

    const piped = await cli.readStdin();
    const prompt = [words, piped?.trim() ?? ''].filter((part) => part.trim() !== '').join('\n\n');
    if (prompt === '') {
      if (!cli.interactive) throw new FlmError('USAGE_ERROR', { meta: { reason: 'There is no prompt' } });
      return converse(cli, door, settings, system);
    }
    const images = [
      ...all('image').map(imageFromFile),
      ...(await Promise.all(all('image-url').map((url) => imageFromUrl(egress, url)))),
    ];
    const messages: Message[] = [...system, { role: 'user', content: withImages(prompt, images) }];
    await answerOnce(cli, door, { ...settings, messages });
  },
});

async function answerOnce(cli: Cli, door: Door, question: Question): Promise<void> {
  const live = question.stream && cli.format === 'text';
  const answer = live
    ? await ask(door, question, (text) => cli.write(text))
    : await withProgress(cli, 'Asking', () => ask(door, question, () => {}));
  if (live) cli.write('\n');
  else cli.result(resultOf(question, answer), () => answer.content);
  if (cli.format === 'text' && cli.interactive) cli.note(usageText(answer.usage));
}

function resultOf(question: Question, { content, chunks, usage }: Answer): unknown {
  return question.stream
    ? { content, chunks, usage }
    : { messages: [...question.messages, { role: 'assistant', content }], usage };
}

/** A conversation on the terminal, until Ctrl-D, /exit, or Ctrl-C where no answer is coming. */
async function converse(cli: Cli, door: Door, settings: Settings, system: readonly Message[]): Promise<void> {
  cli.note(`Talking to ${settings.model}. /exit or Ctrl-D ends it.`);
  const messages: Message[] = [...system];
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
  let answering: AbortController | null = null;
  let over = false;
  lines.on('close', () => {
    over = true;
  });
  // The terminal hands Ctrl-C over as a key here, and no signal comes of it.
  lines.on('SIGINT', () => {
    if (answering === null) lines.close();
    else answering.abort();
  });
  cli.interrupted.addEventListener('abort', () => lines.close(), { once: true });

  async function answer(): Promise<string | null> {
    answering = new AbortController();
    const signal = AbortSignal.any([settings.signal, answering.signal]);
    try {
      return (await ask(door, { ...settings, stream: true, messages, signal }, cli.write)).content;
    } catch (error) {
      if (!answering.signal.aborted && !(error instanceof FlmError)) throw error;
      cli.note(error instanceof FlmError ? `Error: ${error.message}` : '');
      return null;
    } finally {
      answering = null;
    }
  }

  lines.prompt();
  for await (const line of lines) {
    if (line.trim() === '/exit') break;
    if (line.trim() !== '') {
      messages.push({ role: 'user', content: line });
      const content = await answer();
      cli.write('\n');
      // A question that was not answered is not part of what the model is told next.
      if (content === null) messages.pop();
      else messages.push({ role: 'assistant', content });
    }
    if (!over) lines.prompt();
  }
  lines.close();
  cli.interrupted.throwIfAborted();
}

function withImages(prompt: string, images: readonly string[]): Content {
  if (images.length === 0) return prompt;
  return [
    { type: 'text' as const, text: prompt },
    ...images.map((url) => ({ type: 'image_url' as const, image_url: { url } })),
  ];
}

async function firstModel(models: {
  list(engine: null): Promise<{ items: readonly { id: string }[] }>;
}): Promise<string> {
  const [first] = (await models.list(null)).items;
  if (first !== undefined) return first.id;
  throw new FlmError('NO_MODELS');
}

function parseTemperature(field: string, text: string): number {
  if (/^\d(?:\.\d+)?$/.test(text) && Number(text) <= 2) return Number(text);
  throw new FlmError('INVALID_INPUT', { meta: { field, reason: 'it takes a number from 0 to 2' } });
}

function parseTokens(field: string, text: string): number {
  if (/^\d{1,7}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new FlmError('INVALID_INPUT', {
    meta: { field, reason: 'it takes a whole number from 1 to 9999999' },
  });
}

function usageText(usage: unknown): string {
  if (!isRecord(usage)) return '';
  return `(${String(usage.prompt_tokens ?? '?')} tokens in, ${String(usage.completion_tokens ?? '?')} out)`;
}
