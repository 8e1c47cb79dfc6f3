/** What is known of a proxy that runs (FLM-067), and how it was started. */

export interface ProxyHandle {
  /** `proxy-<port>` */
  readonly id: string;
  readonly pid: number;
  readonly port: number;
  readonly mode: 'local-http';
  /** `address:port`, with brackets around IPv6. */
  readonly listenAddr: string;
  readonly httpsPort: null;
  readonly startedAtMs: number;
}

/** How a proxy was started, to start it the same way again. Holds no secret. */
export interface ProxyProfile {
  readonly mode: 'local-http';
  readonly bind: string;
  readonly port: number;
}
