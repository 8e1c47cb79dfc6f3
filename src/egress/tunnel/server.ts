/** A SOCKS5 server as it is spoken to. */
import { isLocalName } from './places';

export interface SocksServer {
  readonly host: string;
  readonly port: number;
  /** What it is told when it asks who is there (RFC 1929); null: nothing. */
  readonly login: SocksLogin | null;
}

export interface SocksLogin {
  readonly user: string;
  readonly password: string;
}

/** `host:port`, with brackets around IPv6, taken apart; null when it is not that. */
export function parseEndpoint(text: string): { readonly host: string; readonly port: number } | null {
  const [, v6, name, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? name;
  const number = Number(port);
  if (host === undefined || number < 1 || number > 65_535) return null;
  // Nobody has to be asked what that means.
  return { host: isLocalName(host) ? '127.0.0.1' : host, port: number };
}
