/**
 * Finds out who can reach what, by trying: an engine's port is knocked at on every address of this machine but loopback, and
 * whoever opens is asked what it is. Nothing is asked of other machines.
 */
import type { EngineKind, EngineState } from '../contract';
import { ipReach, parseIp } from '../lib/ip';
import { mapAtOnce } from '../lib/map-at-once';
import { type MachineAddress, UNSPECIFIED, uncertifiedAdvice } from './endpoints';
import { exposureOf } from './exposure';
import {
  type ExposedEngine,
  type ExposedListener,
  type ExposureReport,
  type Reach,
  VERDICTS,
  type Verdict,
} from './exposure-model';
import { isTls, type ProxyView } from './model';

export interface ExposureOptions {
  readonly proxies: () => readonly ProxyView[];
  /** Where the admin API listens, or null. */
  readonly adminUrl: () => string | null;
  readonly hasKey: () => boolean;
  readonly engines: () => Promise<readonly EngineState[]>;
  readonly addresses: () => readonly MachineAddress[];
  /** Where the name in an engine's URL leads; null when nowhere. */
  readonly addressOf: (url: string) => Promise<string | null>;
  /** Whether a TCP connection is taken there. */
  readonly knock: (ip: string, port: number, timeoutMs: number) => Promise<boolean>;
  readonly whoIsAt: (
    ip: string,
    port: number,
  ) => Promise<{
    readonly who: 'flm' | 'engine' | 'other';
    readonly kind: EngineKind | null;
    readonly wantsKey: boolean;
  }>;
  /** Where engines listen that nobody told otherwise. */
  readonly usualPorts: readonly number[];
  /** How the owner makes that kind of engine listen on this machine alone. */
  readonly stayHome: (kind: EngineKind) => string;
}

/** This machine answers itself at once, or a firewall drops what comes. */
const KNOCK_MS = 500;
/** Knocks at once. */
const MAX_KNOCKS = 32;

export async function reportExposure(options: ExposureOptions): Promise<ExposureReport> {
  const outside = options.addresses().filter(({ ip }) => ipReach(ip) !== 'loopback');
  const here = new Set(options.addresses().map(({ ip }) => ip));
  const states = await options.engines();
  const known = (await Promise.all(states.map((state) => placeOf(state, here, options)))).flat();
  const engines = [...known, ...(await unknownEngines(known, outside, options))];
  const listeners = [
    ...options.proxies().flatMap((proxy) => [listenerOf(proxy, options), ...onionOf(proxy, options)]),
    ...adminListener(options.adminUrl()),
  ];
  const found = await mapAtOnce(engines, MAX_KNOCKS, (engine) => engineAt(engine, outside, options));
  const worst = [...listeners, ...found].map(({ verdict }) => VERDICTS.indexOf(verdict));
  return {
    status: VERDICTS[Math.max(0, ...worst)] ?? 'open',
    listeners,
    engines: found,
    addresses: outside.map(({ ip }) => ip),
  };
}

interface LocalEngine {
  readonly id: string;
  readonly kind: EngineKind;
  readonly port: number;
}

/** None where the engine is on another machine: how that one is reached is its owner's concern. */
async function placeOf(
  { ref: { id, kind, baseUrl } }: EngineState,
  here: ReadonlySet<string>,
  { addressOf }: ExposureOptions,
): Promise<LocalEngine[]> {
  const url = URL.parse(baseUrl);
  if (url === null) return [];
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  // This machine has names, too.
  const ip =
    host === 'localhost' ? '127.0.0.1' : (parseIp(host) ?? parseIp((await addressOf(baseUrl)) ?? ''));
  const isHere = ip !== null && (UNSPECIFIED.has(ip) || ipReach(ip) === 'loopback' || here.has(ip));
  if (!isHere) return [];
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return [{ id, kind, port }];
}

/** Those that listen on an address of a network and not on loopback, where FLM looks for engines. One for each port. */
async function unknownEngines(
  known: readonly LocalEngine[],
  outside: readonly MachineAddress[],
  { usualPorts, knock, whoIsAt }: ExposureOptions,
): Promise<LocalEngine[]> {
  const places = usualPorts
    .filter((port) => !known.some((engine) => engine.port === port))
    .flatMap((port) => outside.filter(({ ip }) => !isOfLink(ip)).map(({ ip }) => ({ ip, port })));
  const found = await mapAtOnce(places, MAX_KNOCKS, async ({ ip, port }): Promise<LocalEngine[]> => {
    const kind = (await knock(ip, port, KNOCK_MS)) ? (await whoIsAt(ip, port)).kind : null;
    return kind === null ? [] : [{ id: `${kind}-${port}`, kind, port }];
  });
  return [...new Map(found.flat().map((engine) => [engine.port, engine])).values()];
}

async function engineAt(
  { id, kind, port }: LocalEngine,
  outside: readonly MachineAddress[],
  { knock, whoIsAt, stayHome }: ExposureOptions,
): Promise<ExposedEngine> {
  const tried = await Promise.all(
    outside.map(async ({ ip, interfaceName }): Promise<ExposedEngine['open_at']> => {
      if (!(await knock(isOfLink(ip) ? `${ip}%${interfaceName}` : ip, port, KNOCK_MS))) return [];
      const { who, wantsKey } = isOfLink(ip) ? UNKNOWN : await whoIsAt(ip, port);
      // Another address of the same port may be FLM's.
      if (who === 'flm') return [];
      const answers = who === 'other' ? 'unknown' : wantsKey ? 'with-key' : 'without-key';
      return [{ address: ip, reach: reachOf(ip), answers }];
    }),
  );
  const openAt = tried.flat();
  const isOpen = openAt.some(({ answers }) => answers === 'without-key');
  const verdict: Verdict = isOpen ? 'open' : openAt.length > 0 ? 'warning' : 'ok';
  const advice = openAt.length === 0 ? null : `${stayHome(kind)} Or block port ${port} in the firewall.`;
  return { engine: id, kind, port, open_at: openAt, verdict, advice };
}

/** An address of one link alone means nothing without the link. */
function isOfLink(ip: string): boolean {
  return ipReach(ip) === 'link-local' && ip.includes(':');
}

const UNKNOWN = { who: 'other', wantsKey: false } as const;

function listenerOf(proxy: ProxyView, { hasKey, addresses }: ExposureOptions): ExposedListener {
  const { id, listen_addr: address, running, endpoints } = proxy;
  const tls = isTls(proxy.mode);
  const bind = address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
  const { exposure } = exposureOf(
    bind,
    addresses().map(({ ip }) => ip),
  );
  const { localhost, local_networks: networks, public: strangers } = endpoints;
  return {
    id,
    address,
    running,
    reach: REACH[exposure],
    urls: [...(localhost === null ? [] : [localhost]), ...networks, ...strangers],
    tls,
    ...judge(REACH[exposure], proxy, hasKey()),
  };
}

/** The way in through Tor, where a proxy has one. */
function onionOf({ id, running, onion }: ProxyView, { hasKey }: ExposureOptions): ExposedListener[] {
  if (onion === null) return [];
  const { address, published, clients } = onion;
  const advice = !hasKey()
    ? NO_KEY
    : clients === 0
      ? 'Whoever has the address finds it, and still needs a key. To hide it from others: --onion-client.'
      : null;
  return [
    {
      id,
      address: address ?? 'an onion address',
      running: running && published,
      reach: 'tor',
      urls: address === null ? [] : [`http://${address}/v1`],
      tls: false,
      verdict: hasKey() ? 'ok' : 'warning',
      advice,
    },
  ];
}

const NO_KEY = 'Nobody has an API key, so nobody can use it: flm api-keys create --label my-app';

const REACH = { loopback: 'this-machine', private: 'this-network', public: 'internet' } as const;

function judge(
  reach: Reach,
  {
    allow_plaintext: allowPlaintext,
    mode,
    uncertified,
  }: Pick<ProxyView, 'allow_plaintext' | 'mode' | 'uncertified'>,
  hasKey: boolean,
): Pick<ExposedListener, 'verdict' | 'advice'> {
  if (reach === 'this-machine') return { verdict: 'ok', advice: null };
  if (isTls(mode)) {
    if (!hasKey) return { verdict: 'warning', advice: NO_KEY };
    if (uncertified.length === 0) return { verdict: 'ok', advice: null };
    return { verdict: 'warning', advice: uncertifiedAdvice(uncertified) };
  }
  if (reach === 'internet' && !allowPlaintext)
    return {
      verdict: 'open',
      advice:
        'This machine has got a public address since FLM was started. Bind a private address, or serve HTTPS: flm proxy start --mode packaged-ca.',
    };
  if (reach === 'internet')
    return {
      verdict: 'warning',
      advice:
        'Whoever listens on the way reads keys and prompts. Serve HTTPS: flm proxy start --mode packaged-ca.',
    };
  if (!hasKey) return { verdict: 'warning', advice: NO_KEY };
  return {
    verdict: 'ok',
    advice:
      'Keys and prompts cross this network unencrypted: it should be yours, or serve HTTPS: flm proxy start --mode packaged-ca.',
  };
}

/** On loopback alone, by construction. */
function adminListener(url: string | null): ExposedListener[] {
  const parsed = url === null ? null : URL.parse(url);
  if (url === null || parsed === null) return [];
  const { host: address } = parsed;
  return [
    {
      id: 'admin',
      address,
      running: true,
      reach: 'this-machine',
      urls: [url],
      tls: false,
      verdict: 'ok',
      advice: null,
    },
  ];
}

function reachOf(ip: string): Reach {
  const reach = ipReach(ip);
  if (reach === 'loopback') return 'this-machine';
  return reach === 'private' || reach === 'link-local' ? 'this-network' : 'internet';
}
