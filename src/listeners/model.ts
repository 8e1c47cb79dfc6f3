/** What is known of a proxy (FLM-018, FLM-065, FLM-067): how it is to run, and how it does. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';

/** The modes that there are. */
export const MODES = ['local-http', 'packaged-ca', 'dev-selfsigned'] as const;
export type Mode = (typeof MODES)[number];
/** Those with HTTPS, by whose private authority. */
export type TlsMode = Exclude<Mode, 'local-http'>;

export function isTls(mode: Mode): mode is TlsMode {
  return mode !== 'local-http';
}

/** The mode of that name; null where there is none. The older spelling of dev-selfsigned counts, too (FLM-065). */
export function modeNamed(name: string): Mode | null {
  const meant = name === 'dev-self-signed' ? 'dev-selfsigned' : name;
  return MODES.find((mode) => mode === meant) ?? null;
}
export const EGRESS_MODES = ['direct', 'tor', 'socks5'] as const;

/** Whether clients are asked for a certificate. `optional`: one that is shown has to be good. */
export const CLIENT_CERTIFICATES = ['off', 'optional', 'required'] as const;

/** Whose certificates clients show, by the paths of PEM files. */
export interface ClientCertificates {
  readonly demand: 'optional' | 'required';
  readonly caFile: string;
  /** Null: none is held against a revocation list. */
  readonly crlFile: string | null;
}

export interface ProxyHandle {
  /** `proxy-<port>` */
  readonly id: string;
  readonly pid: number;
  readonly port: number;
  readonly mode: Mode;
  /** `address:port`, with brackets around IPv6. */
  readonly listenAddr: string;
  readonly httpsPort: number | null;
  readonly startedAtMs: number;
}

/** How a proxy was started, to start it the same way again. Holds no secret. */
export interface ProxyProfile {
  readonly mode: Mode;
  readonly bind: string;
  readonly port: number;
  /** Reverse proxies whose X-Forwarded-For is believed, besides those of the settings. */
  readonly trustedProxies: readonly string[];
  /** Whether a public address may be bound without TLS. */
  readonly allowPlaintext: boolean;
  /** Whether other machines may reach it before there is a key. */
  readonly allowNoKey?: boolean;
  /** Where HTTPS is in modes that have it; the port after `port` where nothing is said. */
  readonly httpsPort?: number;
  /** The onion service that leads to it; null, or left out by older versions: none. */
  readonly onion?: { readonly clients: readonly string[] } | null;
  /** Null, or left out by older versions: nobody is asked for a certificate. */
  readonly clientCertificates?: ClientCertificates | null;
  /** Whether trusted proxies first say who has come to them. */
  readonly proxyProtocol?: boolean;
}

/** An x25519 key, as tor writes them. */
export const OnionClient = Type.String({ pattern: '^[A-Za-z2-7]{52}$', examples: ['A'.repeat(52)] });

export const ProxyInput = Type.Object(
  {
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: 'Default: proxy.port.' })),
    bind: Type.Optional(Type.String({ maxLength: 100, description: 'Default: proxy.bind.' })),
    mode: Type.Optional(Type.String({ maxLength: 50, description: `One of: ${MODES.join(', ')}.` })),
    https_port: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description: 'Port for HTTPS, in modes that have it. Default: the one after port.',
      }),
    ),
    trusted_proxies: Type.Optional(
      Type.Array(Type.String({ maxLength: 100 }), {
        maxItems: 100,
        description: 'Addresses and networks, besides those of proxy.trusted_proxies.',
      }),
    ),
    proxy_protocol: Type.Optional(
      Type.Boolean({
        description:
          'Whether trusted proxies begin each connection with a PROXY header (version 1 or 2). One that does not is refused.',
      }),
    ),
    client_certificates: Type.Optional(
      oneOf(CLIENT_CERTIFICATES, {
        description:
          'Whether HTTPS clients are asked for a certificate. optional: one that is shown has to be good.',
      }),
    ),
    client_ca_file: Type.Optional(
      Type.String({
        maxLength: 4_096,
        description:
          'Absolute path of the authorities that vouch for clients, PEM. Read again when it changes.',
      }),
    ),
    client_crl_file: Type.Optional(
      Type.String({
        maxLength: 4_096,
        description: 'Absolute path of a revocation list of each of them, PEM. Read again when it changes.',
      }),
    ),
    allow_plaintext: Type.Optional(
      Type.Boolean({ description: 'Whether a public address may be bound without TLS.' }),
    ),
    allow_no_key: Type.Optional(
      Type.Boolean({ description: 'Whether other machines may reach it before there is an API key.' }),
    ),
    onion: Type.Optional(Type.Boolean({ description: 'Whether it can be reached through Tor.' })),
    onion_clients: Type.Optional(
      Type.Array(OnionClient, {
        maxItems: 100,
        description: 'Public keys (x25519, base32) of who may find it. Default: whoever has the address.',
      }),
    ),
    egress_mode: Type.Optional(
      oneOf(EGRESS_MODES, { description: 'How requests leave this machine, from now on, for all proxies.' }),
    ),
    socks5_endpoint: Type.Optional(
      Type.String({ maxLength: 300, description: 'host:port of the SOCKS5 server, or of Tor.' }),
    ),
    egress_fail_open: Type.Optional(
      Type.Boolean({ description: 'While the tunnel is down, requests go straight out.' }),
    ),
  },
  { additionalProperties: false },
);
export type ProxyInput = Static<typeof ProxyInput>;

export const ProxyView = Type.Object(
  {
    id: Type.String({ examples: ['proxy-8080'] }),
    pid: nullable(Type.Integer()),
    port: Type.Integer(),
    https_port: nullable(Type.Integer(), { description: 'Null in mode local-http.' }),
    mode: oneOf(MODES),
    listen_addr: Type.String({ examples: ['127.0.0.1:8080'] }),
    status: oneOf(['running', 'stopping', 'failed', 'stopped'], {
      description: 'failed: FLM tries again every few seconds. stopped: it is started with FLM.',
    }),
    running: Type.Boolean(),
    last_error: nullable(Type.String()),
    endpoints: Type.Object({
      localhost: nullable(Type.String()),
      local_network: nullable(Type.String()),
      local_networks: Type.Array(Type.String()),
      public: Type.Array(Type.String()),
    }),
    uncertified: Type.Array(Type.String(), {
      description:
        'Hosts at which it listens with TLS and that none of its certificates holds: clients refuse them.',
    }),
    acme_domain: Type.Null(),
    egress: Type.Object(
      {
        mode: oneOf(EGRESS_MODES),
        fail_open: Type.Boolean(),
        socks5_endpoint: nullable(Type.String(), { examples: ['tor://127.0.0.1:9050'] }),
      },
      { description: 'How requests leave this machine: the same for all proxies of an FLM.' },
    ),
    onion: nullable(
      Type.Object({
        address: nullable(Type.String(), { description: 'null: it was never published yet.' }),
        published: Type.Boolean(),
        reason: nullable(Type.String(), { description: 'Why it is not published.' }),
        clients: Type.Integer({ description: 'Keys of who may find it; 0: whoever has the address.' }),
      }),
      { description: 'The onion service that leads to it; null: none.' },
    ),
    trusted_proxies: Type.Array(Type.String()),
    proxy_protocol: Type.Boolean(),
    client_certificates: oneOf(CLIENT_CERTIFICATES),
    client_ca_file: nullable(Type.String()),
    client_crl_file: nullable(Type.String()),
    allow_plaintext: Type.Boolean(),
    saved: Type.Boolean({ description: 'Whether it is started again with FLM.' }),
    started_at: nullable(Type.String({ format: 'date-time' })),
    requests: Type.Integer({ description: 'Requests that engines work on, or that wait for one.' }),
  },
  { description: 'A proxy.' },
);
export type ProxyView = Static<typeof ProxyView>;

export const ProxyList = Type.Object(
  { items: Type.Array(ProxyView), next: nullable(Type.String()) },
  { description: 'All proxies that run or are started with FLM.' },
);
export type ProxyList = Static<typeof ProxyList>;

export const ProxySelector = Type.Union(
  [
    Type.Object({ id: Type.String({ maxLength: 100 }) }, { additionalProperties: false }),
    Type.Object({ port: Type.Integer({ minimum: 1, maximum: 65_535 }) }, { additionalProperties: false }),
    Type.Object({ all: Type.Literal(true) }, { additionalProperties: false }),
  ],
  { description: 'One proxy by id or port, or all of them.' },
);
export type ProxySelector = Static<typeof ProxySelector>;

export const OneProxy = Type.Object(
  { id: Type.String({ maxLength: 100, examples: ['proxy-8080'] }) },
  { additionalProperties: false },
);
export type OneProxy = Static<typeof OneProxy>;

export const ProxiesStopped = Type.Object(
  { status: oneOf(['stopped']), stopped: Type.Array(Type.String()) },
  { description: 'The ids of the proxies that were stopped. They are not started again with FLM.' },
);
export type ProxiesStopped = Static<typeof ProxiesStopped>;

export const ProxiesReloaded = Type.Object(
  {
    status: oneOf(['reloaded']),
    reloaded: Type.Integer(),
    total: Type.Integer(),
    handle_ids: Type.Array(Type.String()),
    changed: Type.Array(Type.String(), { description: 'Settings that have another value now.' }),
    restart_required: Type.Array(Type.String(), {
      description: 'Settings that count from the next start on.',
    }),
    policy_version: nullable(Type.Integer(), {
      description:
        'The version of the security policy in force; null: it cannot be read, and nobody is let in.',
    }),
    errors: Type.Array(Type.Object({ handle_id: Type.String(), error: Type.String() })),
  },
  { description: 'What reading the settings again has changed.' },
);
export type ProxiesReloaded = Static<typeof ProxiesReloaded>;

/** What the owner can do with proxies. */
export interface ProxiesApi {
  list(): Promise<ProxyList>;
  /**
   * Starts a proxy, and from then on whenever FLM starts.
   * @throws PROXY_EXISTS, PROXY_PORT_IN_USE, PROXY_INVALID_CONFIG, EXPOSURE_REFUSED, EXPOSURE_WITHOUT_KEY
   */
  start(input: ProxyInput): Promise<ProxyView>;
  /** Stops once requests under way have finished, or after proxy.drain_ms. @throws PROXY_NOT_FOUND */
  stop(selector: ProxySelector): Promise<ProxiesStopped>;
  /** Gives its onion service another address. @throws PROXY_NOT_FOUND, NO_ONION, ONION_UNAVAILABLE */
  rotateOnion(proxy: OneProxy): Promise<ProxyView>;
  /** Takes it off the Tor network and forgets its address. @throws PROXY_NOT_FOUND, NO_ONION */
  removeOnion(proxy: OneProxy): Promise<ProxyView>;
  /** Reads the settings again. @throws PROXY_NOT_FOUND, PROXY_NOT_RUNNING, CONFIG_FILE_INVALID */
  reload(selector: ProxySelector): Promise<ProxiesReloaded>;
}
