/** `flm proxy start` */
import { hasServiceManager } from '../../src/daemon';
import { FlmError } from '../../src/lib/errors';
import type { ProxyInput, ProxyView } from '../../src/listeners';
import { findRunning } from '../backend';
import type { Cli } from '../cli';
import { command } from '../command';
import { startDaemon } from '../daemon/start';
import { EGRESS_ARGS, egressInput } from '../egress/flags';
import { CLIENT_ARGS, clientInput } from './clients';
import { parsePort } from './selector';
import { othersText, startedText } from './text';
import { TLS_ARGS, trustHint } from './tls';

/** How long to wait for an FLM that is just being stopped. */
const PATIENCE_MS = 5_000;
const LOOK_MS = 50;

export default command({
  about: 'Start a proxy in the background. It is started again with FLM until you stop it.',
  args: {
    port: {
      type: 'string',
      valueHint: 'N',
      description: 'Port of the API. Default: proxy.port (8080). It is used or refused, never exchanged.',
    },
    bind: {
      type: 'string',
      valueHint: 'A',
      description: 'Address to listen on; 0.0.0.0 for every network. Default: proxy.bind (127.0.0.1).',
    },
    ...TLS_ARGS,
    'trusted-proxy': {
      type: 'string',
      valueHint: 'IP|CIDR',
      description: 'A reverse proxy whose X-Forwarded-For is believed (repeatable).',
    },
    ...CLIENT_ARGS,
    'allow-plaintext': { type: 'boolean', description: 'Bind a public address although there is no TLS.' },
    'allow-no-key': {
      type: 'boolean',
      description: 'Bind an address of a network although nobody has an API key yet.',
    },
    ...EGRESS_ARGS,
    onion: {
      type: 'boolean',
      description: 'Make it reachable through a tor on this machine, under an address of its own.',
    },
    'onion-client': {
      type: 'string',
      valueHint: 'KEY',
      description:
        'Public key (x25519, base32) of who may find the onion service (repeatable). Default: anybody.',
    },
    'no-daemon': { type: 'boolean', description: 'Stay in the foreground, for a service manager or a test.' },
  },
  repeatable: ['trusted-proxy', 'onion-client'],
  details: [
    'Without options, the proxies that ran last are started; where there are none,',
    'one on proxy.port.',
  ],
  examples: [
    'flm proxy start',
    'flm proxy start --port 9000 --bind 0.0.0.0',
    'flm proxy start --mode packaged-ca --bind 0.0.0.0',
    'flm proxy start --trusted-proxy 10.0.0.0/8',
    'flm proxy start --trusted-proxy 10.0.0.5 --proxy-protocol',
    'flm proxy start --mode packaged-ca --client-ca clients.pem --client-crl revoked.pem',
    'flm proxy start --egress-mode tor',
    'flm proxy start --onion',
  ],
  async run({ cli, args, all }) {
    const trusted = all('trusted-proxy');
    const onionClients = all('onion-client');
    const input: ProxyInput = {
      ...(args.port === undefined ? {} : { port: parsePort(args.port) }),
      ...(args.bind === undefined ? {} : { bind: args.bind }),
      ...(args.mode === undefined ? {} : { mode: args.mode }),
      ...(args['https-port'] === undefined
        ? {}
        : { https_port: parsePort(args['https-port'], '--https-port') }),
      ...(trusted.length === 0 ? {} : { trusted_proxies: [...trusted] }),
      ...clientInput(args),
      ...(args['allow-plaintext'] === true ? { allow_plaintext: true } : {}),
      ...(args['allow-no-key'] === true ? { allow_no_key: true } : {}),
      ...egressInput(args),
      ...(args.onion === true ? { onion: true } : {}),
      ...(onionClients.length === 0 ? {} : { onion_clients: [...onionClients] }),
    };
    // Not from args: citty takes --no-daemon for the opposite of --daemon.
    if (all('no-daemon').length > 0) {
      const { serveInForeground } = await import('./foreground');
      return serveInForeground(cli, {
        first: orSaved(input),
        takeOver: false,
        isPatient: hasServiceManager(cli.env),
      });
    }
    const proxy = await startSomewhere(cli, input);
    cli.result(proxy, () => startedText(proxy));
    if (cli.format === 'text') await tellMore(cli, proxy);
  },
});

/** What else there is to know: other proxies, and that nobody has a key. */
async function tellMore(cli: Cli, started: ProxyView | null): Promise<void> {
  const running = await findRunning(cli);
  if (running === null) return;
  const hint = started === null ? null : trustHint(started);
  if (hint !== null) cli.note(hint);
  const { items: proxies } = await running.proxies.list();
  for (const text of othersText(proxies, started)) cli.note(text);
  const { items: keys } = await running.keys.list();
  if (keys.every(({ status }) => status !== 'active'))
    cli.note('Nobody can use it yet. Make a key: flm api-keys create --label my-app');
}

/** Null where nothing was asked for in particular. */
function orSaved(input: ProxyInput): ProxyInput | null {
  return Object.keys(input).length === 0 ? null : input;
}

/** In the FLM that runs, or in one that is started for it. */
async function startSomewhere(
  cli: Cli,
  input: ProxyInput,
  untilMs = cli.clock.monotonicMs() + PATIENCE_MS,
): Promise<ProxyView | null> {
  const running = await findRunning(cli);
  if (running !== null) {
    try {
      return await running.proxies.start(input);
    } catch (error) {
      // It is on its way out, and the next one has to wait for the data directory.
      const isLeaving = error instanceof FlmError && /^(SHUTTING_DOWN|PROXY_NOT_RUNNING)$/.test(error.code);
      if (!isLeaving || cli.clock.monotonicMs() >= untilMs) throw error;
      await Bun.sleep(LOOK_MS);
      return startSomewhere(cli, input, untilMs);
    }
  }
  try {
    return await startDaemon(cli, { first: orSaved(input), takeOver: false, isPatient: false });
  } catch (error) {
    // Somebody else started it at the same moment.
    const came = error instanceof FlmError && /^(PROXY_ALREADY_RUNNING|DB_LOCKED)$/.test(error.code);
    const other = came ? await findRunning(cli) : null;
    if (other === null) throw error;
    return other.proxies.start(input);
  }
}
