/** The addresses at which people reach a listener (FLM-068): never 0.0.0.0 or ::, and the likeliest one first. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { ipReach, parseIp } from '../lib/ip';

export interface Endpoints {
  readonly localhost: string | null;
  /** The first of `local_networks`. */
  readonly local_network: string | null;
  /** In private networks of this machine: that of its default route first, those of containers last. */
  readonly local_networks: string[];
  /** Where strangers can reach it. */
  readonly public: string[];
}

/** An address of this machine, and the interface that has it. */
export interface MachineAddress {
  readonly ip: string;
  readonly interfaceName: string;
}

/** What a machine tells of its networks. */
export interface Machine {
  readonly addresses: readonly MachineAddress[];
  /** The interface through which everything leaves that has no better way, where that is known. */
  readonly defaultInterface: string | null;
}

export const UNSPECIFIED: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Bridges of containers and virtual machines: nobody outside this machine comes in through them. */
const BRIDGE = /^(?:docker|podman|br-|veth|virbr|vnet|vmnet|vboxnet|lxc|lxd|cni|flannel|cali|bridge1\d\d$)/;

/** URLs for a listener on `bind`, on the machine of this process unless another is described. */
export function endpointsOf(
  bind: string,
  port: number,
  machine = thisMachine(),
  scheme: 'http' | 'https' = 'http',
): Endpoints {
  const url = (host: string) => `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const everywhere = UNSPECIFIED.has(bind);
  const bound = everywhere
    ? machine.addresses
        .filter(({ ip }) => bind === '::' || !ip.includes(':'))
        .toSorted((a, b) => rank(a, machine) - rank(b, machine))
        .map(({ ip }) => ip)
    : [bind];
  const reached = (...reaches: readonly string[]) =>
    bound.filter((ip) => reaches.includes(ipReach(ip))).map(url);
  // An address of one network only is shown where somebody asked for that very one.
  const near = reached('private', ...(everywhere ? [] : ['link-local']));
  const loopback = everywhere || bind === '127.0.0.1' ? url('localhost') : (reached('loopback')[0] ?? null);
  return {
    localhost: loopback,
    local_network: near[0] ?? null,
    local_networks: near,
    public: reached('public', 'unusable'),
  };
}

/** Those at which clients are shown a certificate that holds the host, and the other hosts. */
export function certifiedOf(
  { localhost, local_networks: networks, public: strangers }: Endpoints,
  certifies: (host: string) => boolean,
): { readonly endpoints: Endpoints; readonly uncertified: string[] } {
  const isCertified = (url: string) => certifies(hostOf(url));
  const [all, near] = [
    [...(localhost === null ? [] : [localhost]), ...networks, ...strangers],
    networks.filter(isCertified),
  ];
  return {
    endpoints: {
      localhost: localhost !== null && isCertified(localhost) ? localhost : null,
      local_network: near[0] ?? null,
      local_networks: near,
      public: strangers.filter(isCertified),
    },
    uncertified: all.filter((url) => !isCertified(url)).map(hostOf),
  };
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
}

/** What to do about hosts that no certificate holds. */
export function uncertifiedAdvice(hosts: readonly string[]): string {
  const list = hosts.join(', ');
  return `No certificate of FLM holds ${list}, so clients refuse to connect there. Bring a certificate for it (flm security certificates import), or add ${list} to the setting certs.names and run "flm security ca rotate".`;
}

/** Smaller is likelier: what others in the same network would type. */
function rank({ ip, interfaceName }: MachineAddress, { defaultInterface }: Machine): number {
  const place = interfaceName === defaultInterface ? 0 : BRIDGE.test(interfaceName) ? 4 : 2;
  return place + (ip.includes(':') ? 1 : 0);
}

/** The addresses of this machine's interfaces. */
export function machineAddresses(): string[] {
  return interfaceAddresses().map(({ ip }) => ip);
}

export function thisMachine(): Machine {
  return { addresses: interfaceAddresses(), defaultInterface: defaultInterfaceIn(readRoutes()) };
}

/** The addresses of this machine, each with its interface. */
export function interfaceAddresses(): MachineAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, list]) =>
    (list ?? []).flatMap(({ address }) => {
      const ip = parseIp(address);
      return ip === null ? [] : [{ ip, interfaceName }];
    }),
  );
}

/** Linux keeps its IPv4 routes here; elsewhere the system's own order has to do. */
function readRoutes(): string {
  try {
    return readFileSync('/proc/net/route', 'utf8');
  } catch {
    return '';
  }
}

/** The interface of the default route (destination and mask 0) with the smallest metric. */
export function defaultInterfaceIn(routes: string): string | null {
  const [best] = routes
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t').map((cell) => cell.trim()))
    .filter(([, destination, , , , , , mask]) => destination === '00000000' && mask === '00000000')
    .toSorted((a, b) => Number(a[6]) - Number(b[6]));
  return best?.[0] ?? null;
}
