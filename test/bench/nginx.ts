/** The nginx row: one worker, upstream keep-alive, buffering off; what a proxy without any of FLM's duties costs. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, waitForPort } from './ports';
import { processTree } from './proc';
import type { Row } from './rows';
import type { Stage } from './stage';

/** Debian keeps nginx in sbin, which is not on everybody's PATH. */
const USUAL_PATH = '/usr/sbin/nginx';

/** The nginx of this machine, or null. */
export function findNginx(): string | null {
  return Bun.which('nginx') ?? (existsSync(USUAL_PATH) ? USUAL_PATH : null);
}

/** "1.22.1". */
export async function nginxVersion(stage: Stage, nginx: string): Promise<string> {
  const { stderr } = await stage.run([nginx, '-v']);
  return /nginx\/(\S+)/.exec(stderr)?.[1] ?? 'unknown version';
}

/** Files of a certificate and its key. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** A row that starts nginx in front of the engine, with a certificate or without. */
export function nginxRow(stage: Stage, nginx: string, enginePort: number, tls: TlsFiles | null = null): Row {
  const directory = stage.directory('nginx');
  return {
    name: 'nginx',
    async start() {
      const port = freePort();
      const file = join(directory, 'nginx.conf');
      writeFileSync(file, configuration(directory, port, enginePort, tls));
      const service = stage.start([nginx, '-p', directory, '-c', file, '-e', 'stderr']);
      await waitForPort(port, service);
      // The master listens before it forks the worker, and the worker is what is measured.
      while (!service.ended() && processTree(service.pid).length < 2) await Bun.sleep(5);
      return { port, pids: () => processTree(service.pid), stop: service.stop };
    },
  };
}

function configuration(directory: string, port: number, enginePort: number, tls: TlsFiles | null): string {
  // As root, workers become "nobody" otherwise and cannot enter our private directory.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
${user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid ${directory}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  ${scratch.map((name) => `${name}_temp_path ${directory}/${name};`).join('\n  ')}
  keepalive_requests 1000000000;
  upstream engine { server 127.0.0.1:${enginePort}; keepalive 1024; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port}${tls === null ? '' : ' ssl'} backlog=4096;
    ${tls === null ? '' : `ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key};`}
    location / {
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`;
}
