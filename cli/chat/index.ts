/** `flm chat`: talks to a model through the running proxy. */
import { createInterface } from 'node:readline/promises';
import { createEgress } from '../../src/egress';
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
    const egress = createEgress({ clock: cli.clock });
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
        : { temperature: parseNumber('--temperature', args.temperature, 0, 2) }),
      ...(args['max-tokens'] === undefined
        ? {}
        : { maxTokens: parseNumber('--max-tokens', args['max-tokens'], 1, 1_000_000) }),
    };
    const system: Message[] = args.system === undefined ? [] : [{ role: 'system', content: args.system }];

    const piped = await cli.readStdin();
    const prompt = [words, piped?.trim() ?? ''].filter((part) => part !== '').join('\n\n');
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

/** A conversation on the terminal, until an empty Ctrl-D or /exit. */
async function converse(cli: Cli, door: Door, settings: Settings, system: readonly Message[]): Promise<void> {
  cli.note(`Talking to ${settings.model}. /exit or Ctrl-D ends it.`);
  const messages: Message[] = [...system];
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() === '/exit') break;
    if (line.trim() !== '') {
      messages.push({ role: 'user', content: line });
      const question: Question = { ...settings, stream: true, messages };
      const answer = await ask(door, question, (text) => cli.write(text)).catch((error: unknown) => {
        if (!(error instanceof FlmError)) throw error;
        cli.note(`${error.message}`);
        return null;
      });
      cli.write('\n');
      // A question that failed is not part of what the model is told next.
      if (answer === null) messages.pop();
      else messages.push({ role: 'assistant', content: answer.content });
    }
    lines.prompt();
  }
  lines.close();
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
  throw new FlmError('MODEL_NOT_FOUND', {
    meta: { model: '(any)' },
    hint: 'No engine runs: "flm engines detect" looks for one.',
  });
}

function parseNumber(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= min && value <= max) return value;
  throw new FlmError('INVALID_INPUT', {
    meta: { field: option, reason: `it takes a number from ${min} to ${max}` },
  });
}

function usageText(usage: unknown): string {
  if (!isRecord(usage)) return '';
  return `(${String(usage.prompt_tokens ?? '?')} tokens in, ${String(usage.completion_tokens ?? '?')} out)`;
}
