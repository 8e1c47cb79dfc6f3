/**
 * A fake engine as its own process: `bun test/fake/main.ts llamacpp --port 0 --slots 4 …` prints its URL as one
 * line. With `--stdin` it obeys lines, and ends with its standard input so that nothing outlives its test:
 * `fault <name or JSON>`, `fault-once <name or JSON>`, `heal`, `models <names or JSON>`, `stats` (answers with one
 * line of JSON).
 */
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import {
  FAKE_KINDS,
  type FakeKind,
  type FakeModel,
  type FakeOptions,
  type Fault,
  NAMED_FAULTS,
  startFake,
} from './index';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    hostname: { type: 'string', default: '127.0.0.1' },
    models: { type: 'string' },
    slots: { type: 'string' },
    'max-waiting': { type: 'string' },
    'cached-tokens': { type: 'string' },
    reranking: { type: 'boolean', default: false },
    'api-key': { type: 'string' },
    tokens: { type: 'string' },
    'token-delay-ms': { type: 'string' },
    fault: { type: 'string' },
    stdin: { type: 'boolean', default: false },
  },
});

const engine = await startFake(readKind(positionals[0]), readOptions());
console.log(engine.url);
const stop = async (): Promise<void> => {
  await engine.close();
  process.exit(0);
};
process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());
if (values.stdin) {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', obey);
  lines.on('close', () => void stop());
}

function obey(line: string): void {
  const [verb = '', rest = ''] = [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)];
  if (verb === 'fault') engine.setFault(readFault(rest));
  else if (verb === 'fault-once') engine.setFaultOnce(readFault(rest));
  else if (verb === 'heal') engine.setFault(null);
  else if (verb === 'models') engine.setModels(readModels(rest));
  else if (verb === 'stats') console.log(JSON.stringify(readStats()));
  else console.error(`unknown command: ${verb}`);
}

function readStats(): object {
  return {
    requests: engine.requests.map(({ method, path }) => `${method} ${path}`),
    busy: engine.busy(),
    waiting: engine.waiting(),
    served: engine.served(),
    aborted: engine.aborted(),
    broken: engine.broken(),
    connections: engine.connections(),
  };
}

function readKind(name: string | undefined): FakeKind {
  const kind = FAKE_KINDS.find((each) => each === name);
  if (kind) return kind;
  throw new Error(`which engine? ${FAKE_KINDS.join(', ')}, not ${name ?? 'nothing'}`);
}

function readOptions(): FakeOptions {
  return {
    port: Number(values.port),
    hostname: values.hostname,
    ...(values.models === undefined ? {} : { models: readModels(values.models) }),
    ...(values.slots === undefined ? {} : { slots: Number(values.slots) }),
    ...(values['max-waiting'] === undefined ? {} : { maxWaiting: Number(values['max-waiting']) }),
    ...(values['cached-tokens'] === undefined ? {} : { cachedTokens: Number(values['cached-tokens']) }),
    reranking: values.reranking,
    ...(values['api-key'] === undefined ? {} : { apiKey: values['api-key'] }),
    ...(values.tokens === undefined ? {} : { tokens: Number(values.tokens) }),
    ...(values['token-delay-ms'] === undefined ? {} : { tokenDelayMs: Number(values['token-delay-ms']) }),
    ...(values.fault === undefined ? {} : { fault: readFault(values.fault) }),
  };
}

/** Names with commas between them, or a JSON list of names and FakeModels. */
function readModels(text: string): readonly (string | FakeModel)[] {
  return text.startsWith('[') ? JSON.parse(text) : text.split(',');
}

/** A name from NAMED_FAULTS, or a Fault as JSON. */
function readFault(text: string): Fault {
  const fault = NAMED_FAULTS[text] ?? (JSON.parse(text) as Fault);
  if (!(fault.kind in NAMED_FAULTS)) throw new Error(`unknown fault: ${text}`);
  return fault;
}
