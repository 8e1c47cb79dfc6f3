/** The page about engines: what FLM does with each, from the adapters, and what each really does, as it was seen. */
import { ADAPTERS, ENGINE_KINDS } from '../src/engines/registry';

const ROUTES = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
  '/v1/messages',
  '/v1/messages/count_tokens',
  '/v1/rerank',
] as const;

export function enginesPage(made: string): string {
  const kinds = ENGINE_KINDS.map((kind) => ADAPTERS[kind]);
  const head = `| | ${kinds.map(({ title }) => title).join(' | ')} |\n|---|${kinds.map(() => '---|').join('')}`;
  const row = (name: string, cells: readonly string[]) => `| ${name} | ${cells.join(' | ')} |`;
  const rows = [
    row(
      '`--kind`',
      kinds.map(({ kind }) => `\`${kind}\``),
    ),
    row(
      'usual ports',
      kinds.map(({ ports }) => ports.join(', ')),
    ),
    row(
      'token counts of streams',
      kinds.map(({ askForUsage }) => (askForUsage.length === 0 ? 'come by themselves' : 'FLM asks for them')),
    ),
    ...ROUTES.map((route) =>
      row(
        `\`${route}\``,
        kinds.map(({ routes }) => (routes.includes(route) ? 'yes' : '')),
      ),
    ),
  ];
  return `${made}

# Engines

FLM asks engines in their own OpenAI-compatible API, and publishes of it what is marked here. A request on a route that no
engine with that model speaks is answered with 501 and the names of those that do.

${head}
${rows.join('\n')}

"OpenAI-compatible" is any other server that speaks the OpenAI API: what it speaks, it says itself, so everything is passed
on to it.

## How they are found

FLM looks at the usual ports of this machine on IPv4 and IPv6, at the places that \`OLLAMA_BASE_URL\`, \`VLLM_HOST\`,
\`VLLM_PORT\`, \`LMSTUDIO_API_HOST\` and \`LLAMA_CPP_PORT\` name, and on Linux at every port of loopback where a program of
yours or of the system listens whose command line names an engine. What answers decides what it is, never the port:

| Engine | is known by |
|---|---|
| llama.cpp | the Server header \`llama.cpp\`, or \`default_generation_settings\` in \`/props\` |
| Ollama | \`/api/version\` together with the list of \`/api/tags\` |
| vLLM | \`/version\` together with models owned by \`vllm\`, or its own way to ask for a key |
| LM Studio | \`/api/v1/models\` or \`/api/v0/models\` |
| anything else | an OpenAI model list at \`/v1/models\` |

Where another user of this machine listens, FLM asks nothing and sends nothing (Linux): whoever took an engine's port would
be sent what clients ask. An engine of somebody else is added by hand.

What answers and is no engine is asked again after 15 seconds, then less and less often. An engine elsewhere is added by hand:
\`flm engines add --url http://gpu-box:8000\`.

A running engine is looked at every six seconds (\`engine.refresh_ms\`), and at once when a request to it goes wrong. One that
does not answer is degraded at first and counts as gone after three looks, unless it works on requests of FLM's meanwhile; one
where nobody listens is gone at once. Five requests in a row that got no answer, a broken one, or a 502, 503 or 504 open its
breaker: it is left alone for 30 seconds, then one request at a time tries it (\`engine.breaker_failures\`,
\`engine.breaker_open_ms\`). An engine's 500 does not open it, because a client's own mistake can be the reason: a model that
fails often is asked last instead. \`flm engines health-history\` tells how it was over time.

## What they really do

Seen on Linux x86-64, two cores, without a GPU, with SmolLM2-135M; the recordings are in test/golden.

For developers: \`bun run verify:real\` holds the executable against all three again. It takes an Ollama from the PATH or
\`FLM_TEST_OLLAMA\`, and a vLLM from \`FLM_TEST_VLLM\`, a directory that \`setup.sh\` has filled, or lets that script fill one
(\`FLM_TEST_VLLM_SETUP\` says where it is; 1 GB to download, 2.8 GB of disk, 4 GB of memory, about eight minutes in all).

### llama.cpp (server of xllamacpp 2026.10.11549)

- Tells its slots, its context, its size and whether it takes pictures. Whether it embeds it does not tell.
- Ends every stream with \`timings\`, which FLM counts tokens by, so that nothing has to be asked for.
- Closes the connection after every streamed answer and every error, without saying so. FLM sends the next request on a new one.
- Answers any model name. FLM asks it only for the ones it lists.
- A client that leaves a stream frees its slot at once; one that leaves a whole answer is noticed within about a second.
- While it loads its model it answers 503; FLM shows it as degraded and waits.

### Ollama (0.17.4)

- Names carry a tag: \`smollm2:latest\`. FLM takes \`smollm2\` for it, as Ollama does.
- Tells of each model what it can do, and the context it was loaded with. Models are loaded when they are asked for.
- Does not tell how many requests it works on at once. Where FLM runs on the same machine as the same user, it reads
  \`OLLAMA_NUM_PARALLEL\` of Ollama's own environment; elsewhere give \`--slots\`. Ollama itself lets the others wait.
- Sends token counts of streams when asked, and none for streamed \`/v1/completions\`.

### vLLM (0.32.0, on the CPU)

- \`--api-key\` guards \`/v1\` only. \`/invocations\`, which runs a whole chat, is open: never let anybody but FLM reach its port.
- Closes idle connections after five seconds.
- A stream can begin with 200 and then carry an error followed by \`[DONE]\` (queue full, engine killed). FLM counts that as a
  failure, ends the stream without \`[DONE]\`, and asks another engine when nothing has been sent yet.
- Told to stop (SIGTERM), it closes its port within 0.2 s. Its streams end with an error and \`[DONE]\`, or are left open and
  silent until their clients go, as it happens. FLM ends the former at once; it asks whether an engine still answers after 60
  silent seconds (\`proxy.stall_probe_ms\`), finds nobody, and ends the latter too: with an error, and without \`[DONE]\`.
- Told to stop with \`--shutdown-timeout\`, it goes on with its streams for that long, while \`/health\` and \`/v1/models\` say that
  all is well and every new request is answered with 500 (\`cannot schedule new futures after shutdown\`). FLM asks another
  engine then, where one has the model. What is not done in time hangs as above.
- Killed (\`kill -9\`), it breaks its streams off at once, and its \`VLLM::EngineCore\` and \`VLLM::Worker\` work on without it
  until somebody ends them. FLM asks nothing of them: they listen on a dozen ports each that are not for HTTP.
- A client that leaves is noticed within 0.3 s, streamed or not, also while it waits inside vLLM.

### LM Studio

Not run here: it has no package for servers without a screen. FLM goes by its published REST API.
`;
}
