/**
 * The runtime's ceiling, a process of its own: `bun ceiling.ts <engine url>` prints its port and forwards until killed.
 * With a certificate's file and its key's, it speaks TLS. The least a proxy on Bun.serve and fetch can do; what FLM costs beyond it is FLM's.
 */
if (import.meta.main) {
  const [engine = '', cert, key] = process.argv.slice(2);
  const tls =
    cert === undefined || key === undefined ? {} : { tls: { cert: Bun.file(cert), key: Bun.file(key) } };
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    development: false,
    ...tls,
    async fetch(request) {
      const headers = {
        'content-type': 'application/json',
        authorization: request.headers.get('authorization') ?? '',
      };
      const path = request.url.slice(request.url.indexOf('/', 8));
      const upstream = await fetch(engine + path, { method: 'POST', headers, body: await request.text() });
      const type = upstream.headers.get('content-type') ?? '';
      const body = type === 'text/event-stream' ? upstream.body : await upstream.text();
      return new Response(body, { status: upstream.status, headers: { 'content-type': type } });
    },
  });
  console.log(server.port);
}
