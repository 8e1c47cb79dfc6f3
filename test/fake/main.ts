/**
 * A fake engine as its own process: `bun test/fake/main.ts llamacpp --port 0 --slots 4 …` prints its URL as one
 * line. With `--stdin` it obeys lines, and ends with its standard input so that nothing outlives its test:
 * `fault <name or JSON>`, `fault-once <name or JSON>`, `heal`, `stats` (answers with one line of JSON).
 */
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { FAULTS, type FakeKind, type FakeOptions, type Fault, startFake } from './index';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    hostname: { type: 'string', default: '127.0.0.1' },
    models: { type: 'string' },
    slots: { type: 'string' },
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
  if (name === 'llamacpp' || name === 'openai') return name;
  throw new Error(`which engine? llamacpp or openai, not ${name ?? 'nothing'}`);
}

function readOptions(): FakeOptions {
  return {
    port: Number(values.port),
    hostname: values.hostname,
    ...(values.models === undefined ? {} : { models: values.models.split(',') }),
    ...(values.slots === undefined ? {} : { slots: Number(values.slots) }),
    ...(values['api-key'] === undefined ? {} : { apiKey: values['api-key'] }),
    ...(values.tokens === undefined ? {} : { tokens: Number(values.tokens) }),
    ...(values['token-delay-ms'] === undefined ? {} : { tokenDelayMs: Number(values['token-delay-ms']) }),
    ...(values.fault === undefined ? {} : { fault: readFault(values.fault) }),
  };
}

/** A name from FAULTS, or a Fault as JSON. */
function readFault(text: string): Fault {
  const named: Record<string, Fault> = FAULTS;
  const fault = named[text] ?? (JSON.parse(text) as Fault);
  if (!(fault.kind in FAULTS)) throw new Error(`unknown fault: ${text}`);
  return fault;
}
