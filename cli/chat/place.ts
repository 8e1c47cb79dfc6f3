/** Where the CLI reaches the proxy of the FLM that runs, and by which roots it knows it when it speaks TLS. */
import type { CertsApi } from '../../certs';
import type { ProxyView } from '../../src/listeners';

export interface Place {
  /** Without a slash at the end. */
  readonly baseUrl: string;
  /** The roots of FLM's own authority, PEM; null where no TLS is spoken. */
  readonly roots: readonly string[] | null;
}

interface Proxies {
  readonly proxies: readonly Pick<
    ProxyView,
    'running' | 'listen_addr' | 'https_port' | 'mode' | 'client_certificates' | 'proxy_protocol'
  >[];
}

/** The first proxy that runs, of those that take whoever comes if there is one; null where none runs. */
export async function findPlace(
  { proxies }: Proxies,
  certs: Pick<CertsApi, 'status'>,
): Promise<Place | null> {
  const running = proxies.filter((proxy) => proxy.running);
  const first = running.find(isOpen) ?? running[0];
  if (first === undefined) return null;
  const { listen_addr: listenAddr, https_port: httpsPort, mode } = first;
  const address = reachable(listenAddr);
  if (httpsPort === null) return { baseUrl: `http://${address}`, roots: null };
  const { roots } = await certs.status();
  return {
    baseUrl: `https://${address.slice(0, address.lastIndexOf(':'))}:${httpsPort}`,
    roots: roots.filter((root) => root.mode === mode).map((root) => root.certificate_pem),
  };
}

/** The owner's own commands have no certificate, and speak for nobody else. */
function isOpen(proxy: Proxies['proxies'][number]): boolean {
  return proxy.client_certificates !== 'required' && !proxy.proxy_protocol;
}

/** A proxy on every network is reached on this machine's own. */
function reachable(listenAddr: string): string {
  return listenAddr.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:');
}
