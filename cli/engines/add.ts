/** `flm engines add` */
import { ENGINE_KINDS, type EngineInput } from '../../src/engines';
import { FlmError } from '../../src/lib/errors';
import type { Env } from '../../src/lib/paths';
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { enginesText } from './text';

export default command({
  about: 'Add an engine that FLM does not find by itself.',
  args: {
    url: { type: 'string', required: true, description: 'Where it listens: http://gpu-box:8000' },
    kind: {
      type: 'string',
      valueHint: ENGINE_KINDS.join('|'),
      description: 'What it is. Left out, FLM asks it.',
    },
    id: { type: 'string', description: 'Its name in flm://<id>/<model>. Default: made from kind and port.' },
    'key-env': {
      type: 'string',
      valueHint: 'NAME',
      description: 'Environment variable that holds the key the engine wants. Stored encrypted.',
    },
    slots: {
      type: 'string',
      valueHint: 'N',
      description: 'Requests it takes at once. Default: as the engine tells.',
    },
  },
  examples: [
    'flm engines add --url http://192.168.1.20:8080',
    'VLLM_KEY=... flm engines add --kind vllm --url https://gpu.example/v1 --key-env VLLM_KEY --id gpu',
  ],
  async run({ cli, args }) {
    const input: EngineInput = {
      url: args.url,
      ...(args.kind === undefined ? {} : { kind: args.kind }),
      ...(args.id === undefined ? {} : { id: checkId(args.id) }),
      ...(args['key-env'] === undefined ? {} : { key: readKey(args['key-env'], cli.env) }),
      ...(args.slots === undefined ? {} : { slots: parseSlots(args.slots) }),
    };
    const engine = await withProgress(cli, 'Asking the engine', () =>
      withBackend(cli, (backend) => backend.engines.add(input)),
    );
    cli.result(engine, () => enginesText({ items: [engine], next: null }));
  },
});

function checkId(id: string): string {
  if (/^[A-Za-z0-9_-]{1,100}$/.test(id)) return id;
  throw invalid('--id', 'it takes 1 to 100 letters, digits, - and _');
}

/** The key is read here and not by FLM: a running FLM has another environment. */
function readKey(name: string, env: Env): string {
  const key = env[name]?.trim();
  if (key) return key;
  throw invalid('--key-env', `the environment variable ${name} is not set`);
}

function parseSlots(text: string): number {
  const slots = Number(text);
  if (Number.isInteger(slots) && slots >= 1 && slots <= 100_000) return slots;
  throw invalid('--slots', 'it takes a whole number from 1 to 100000');
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
