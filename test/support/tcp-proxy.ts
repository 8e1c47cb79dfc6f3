/** HAProxy and nginx as TCP proxies that say for whom they connect (PROXY protocol), each on loopback, from an address of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually';
import { freePort } from './ports';

/** Where FLM sees it come from. */
export const PROXY_ADDRESS = '127.0.0.5';

export const TCP_PROXIES = ['haproxy send-proxy', 'haproxy send-proxy-v2', 'nginx proxy_protocol'] as const;
export type TcpProxyKind = (typeof TCP_PROXIES)[number];

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
}

const NGINX_STREAM = '/usr/lib/nginx/modules/ngx_stream_module.so';

/** Null where it is installed, else how to have it. */
export async function missingTcpProxy(kind: TcpProxyKind): Promise<string | null> {
  if (kind.startsWith('haproxy'))
    return Bun.which('haproxy', PATH) === null ? 'apt-get install haproxy' : null;
  const isThere = Bun.which('nginx', PATH) !== null && (await Bun.file(NGINX_STREAM).exists());
  return isThere ? null : 'apt-get install nginx-light libnginx-mod-stream';
}

const PATH = { PATH: `${process.env.PATH ?? ''}:/usr/sbin` };

/** Passes on what comes to `toPort` of this machine, which is told who has come. */
export async function startTcpProxy(kind: TcpProxyKind, toPort: number): Promise<TcpProxy> {
  const dir = mkdtempSync(join(tmpdir(), 'flm-tcp-proxy-'));
  const port = await freePort();
  const isNginx = kind.startsWith('nginx');
  const config = join(dir, 'proxy.conf');
  writeFileSync(config, isNginx ? nginxConfig(dir, port, toPort) : haproxyConfig(kind, port, toPort));
  const command = isNginx ? ['nginx', '-p', dir, '-e', 'stderr', '-c', config] : ['haproxy', '-f', config];
  const child = Bun.spawn(command, { cwd: dir, env: PATH, stdout: 'ignore', stderr: 'ignore' });
  await eventually(() => child.exitCode !== null || isOpen(port));
  if (child.exitCode !== null) throw new Error(`${command.join(' ')} ended with ${child.exitCode}`);
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await child.exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function isOpen(port: number): Promise<boolean> {
  const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } }).catch(() => null);
  socket?.end();
  return socket !== null;
}

function haproxyConfig(kind: TcpProxyKind, port: number, toPort: number): string {
  const how = kind.replace('haproxy ', '');
  return `defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen flm
  bind 127.0.0.1:${port}
  server flm 127.0.0.1:${toPort} source ${PROXY_ADDRESS} ${how}
`;
}

function nginxConfig(dir: string, port: number, toPort: number): string {
  return `load_module ${NGINX_STREAM};
daemon off;
worker_processes 1;
pid ${dir}/pid;
error_log stderr error;
events { worker_connections 512; }
stream {
  server {
    listen 127.0.0.1:${port};
    proxy_pass 127.0.0.1:${toPort};
    proxy_bind ${PROXY_ADDRESS};
    proxy_protocol on;
  }
}
`;
}
