/** `bun many-engines.ts <engines> <models each>` prints the ports of that many model lists and serves until killed. */
const [engines = 20, models = 200] = process.argv.slice(2).map(Number);

const lists = Array.from({ length: engines }, (_, engine) =>
  JSON.stringify({
    object: 'list',
    // Every other model is one that all engines have.
    data: Array.from({ length: models }, (_, model) => ({
      id: model % 2 === 0 ? `organisation/shared-model-${model}` : `organisation/model-${engine}-${model}`,
      object: 'model',
      created: 1_795_000_000 + model,
      owned_by: 'organisation',
      max_model_len: 32_768,
    })),
  }),
);

const servers = lists.map((list) =>
  Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    development: false,
    fetch: (request) =>
      new URL(request.url).pathname === '/v1/models'
        ? new Response(list, { headers: { 'content-type': 'application/json' } })
        : new Response('not found', { status: 404 }),
  }),
);
console.log(servers.map((server) => server.port).join(' '));
