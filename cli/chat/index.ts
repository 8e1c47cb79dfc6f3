/** `flm chat`: talks to a model through the running proxy. */
import { FlmError } from '../../src/lib/errors';
import { isRecord } from '../../src/lib/json';
import { requireRunning } from '../backend';
import { type Cli, withProgress } from '../cli';
import { command } from '../command';
import { type Answer, ask, type Door, type Message, type Question, requireModel, withImages } from './ask';
import { converse, type Settings } from './conversation';
import { imageFromFile, imageFromUrl } from './images';
import { findPlace } from './place';

export default command({
  about: 'Chat with a model through FLM. Without a prompt: a conversation, or what is piped in.',
  args: {
    prompt: {
      type: 'positional',
      required: false,
      description: 'What to ask. A word "-" stands for what is piped in, which is not read otherwise.',
    },
    model: {
      type: 'string',
      alias: 'm',
      description: 'Model name or flm://<engine>/<model>. Default: the first there is.',
    },
    system: { type: 'string', alias: 's', description: 'How the model should behave.' },
    stream: {
      type: 'boolean',
      description:
        'Print the answer as it comes, as on a terminal. As JSON: {content, chunks, usage}, not {messages, usage}.',
    },
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
    'git diff | flm chat "Write a commit message for this change:" -',
    'flm chat --model flm://ollama-default/llava --image cat.png "What is this?"',
    'flm chat',
  ],
  async run({ cli, args, all, rest }) {
    const words = [args.prompt, ...rest].filter((word) => word !== undefined);
    const client = await requireRunning(cli);
    const place = await findPlace(await client.status(), client.certs);
    if (place === null) throw new FlmError('PROXY_NOT_RUNNING');
    const { egress } = cli;
    const door: Door = {
      egress,
      place,
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

    const prompt = await promptOf(words, cli);
    if (prompt === '' && !cli.interactive)
      throw new FlmError('USAGE_ERROR', { meta: { reason: 'There is no prompt' } });
    const images = [
      ...all('image').map(imageFromFile),
      ...(await Promise.all(all('image-url').map((url) => imageFromUrl(egress, url)))),
    ];
    if (prompt === '') {
      await requireModel(door, settings.model, cli.interrupted);
      return converse(cli, door, settings, system, images);
    }
    const messages: Message[] = [...system, { role: 'user', content: withImages(prompt, images) }];
    await answerOnce(cli, door, { ...settings, messages });
  },
});

/**
 * The words, with stdin where "-" stands or where there are none. Not otherwise: in a shell's `while read` loop stdin
 * holds the lines of the next rounds, and behind a slow program it ends late.
 */
async function promptOf(words: readonly string[], cli: Cli): Promise<string> {
  const at = words.indexOf('-');
  const wanted = at !== -1 || words.length === 0;
  const piped = wanted ? ((await cli.readStdin()) ?? '').trim() : '';
  const parts =
    at === -1
      ? [words.join(' '), piped]
      : [words.slice(0, at).join(' '), piped, words.slice(at + 1).join(' ')];
  return parts.filter((part) => part.trim() !== '').join('\n\n');
}

async function answerOnce(cli: Cli, door: Door, asked: Question): Promise<void> {
  // A person who waits sees the answer grow; a pipe gets it whole unless it asked for the pieces.
  const live = cli.format === 'text' && (asked.stream || cli.watched);
  const question = { ...asked, stream: asked.stream || live };
  if (live) await showLive(cli, door, question);
  else {
    const answer = await withProgress(cli, 'Asking', () => ask(door, question, () => {}));
    cli.result(resultOf(question, answer), () => answer.content);
  }
}

async function showLive(cli: Cli, door: Door, question: Question): Promise<void> {
  let begun = false;
  const show = (text: string) => {
    begun = true;
    cli.write(text);
  };
  try {
    const { usage } = await ask(door, question, show);
    cli.write('\n');
    if (cli.interactive) cli.note(usageText(usage));
  } catch (error) {
    // What comes after half an answer begins on a line of its own.
    if (begun && cli.watched) cli.write('\n');
    throw error;
  }
}

function resultOf(question: Question, { content, chunks, usage }: Answer): unknown {
  return question.stream
    ? { content, chunks, usage }
    : { messages: [...question.messages, { role: 'assistant', content }], usage };
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
