/**
 * What helps somebody else to find out what is wrong with this FLM, and says nothing about its owner or clients: no key, no
 * prompt, no address, no host's name, no home directory. Everything passes `Veil`, whatever made it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { arch, homedir, platform, release, totalmem } from 'node:os';
import { basename, join } from 'node:path';
import type { KeysApi } from '../admission';
import type { ConfigApi } from '../config';
import type { Clock, EngineState } from '../contract';
import { isLoopback, maskIp, parseIp } from '../lib/ip';
import { type Env, logPathIn, type Paths } from '../lib/paths';
import { mask, redact, redactValue } from '../lib/redact';
import type { CheckReport, Status, SupportBundle } from './model';

export interface SupportOptions {
  readonly paths: Paths;
  readonly env: Env;
  readonly clock: Clock;
  readonly version: string;
  readonly keys: Pick<KeysApi, 'list'>;
  readonly config: Pick<ConfigApi, 'list'>;
  readonly engines: { states(): readonly EngineState[] };
  readonly status: () => Status;
  readonly check: () => Promise<CheckReport>;
  /** Null while FLM does not run. */
  readonly metrics: (() => Promise<{ readonly text: string }>) | null;
}

const LOG_LINES = 500;
const MAX_LOG_BYTES = 1_048_576;

export async function supportBundle(options: SupportOptions): Promise<SupportBundle> {
  const { paths, clock, version, keys, config, engines, status, check, metrics } = options;
  const report = await check();
  const { items } = await keys.list();
  const states = engines.states();
  const veil = createVeil({
    homes: [homedir(), options.env.HOME ?? ''],
    hosts: states.map(({ ref }) => hostOf(ref.baseUrl)),
    names: items.map(({ id }) => id),
  });
  const json = (value: unknown) => veil(JSON.stringify(redactValue(value), null, 2));
  const usable = items.filter((key) => key.status === 'active').length;
  const files = [
    { name: 'README.txt', text: readme(new Date(clock.nowMs()).toISOString()) },
    { name: 'versions.json', text: json({ flm: version, ...machine() }) },
    { name: 'status.json', text: json(status()) },
    { name: 'check.json', text: json(report) },
    { name: 'config.json', text: json((await config.list()).items) },
    { name: 'engines.json', text: json(states) },
    { name: 'keys.json', text: json({ all: items.length, usable }) },
    ...(metrics === null ? [] : [{ name: 'metrics.txt', text: veil((await metrics()).text) }]),
    ...logFiles(paths, veil),
    ...crashFiles(paths, veil),
  ];
  return { files: files.map(({ name, text }) => ({ name, text: text.endsWith('\n') ? text : `${text}\n` })) };
}

type Veil = (text: string) => string;

interface Hidden {
  readonly homes: readonly string[];
  readonly hosts: readonly string[];
  /** Identifiers, which stay recognisable and no more (FLM-118). */
  readonly names: readonly string[];
}

const IPV4 = /\b\d{1,3}(?:\.\d{1,3}){3}\b/g;
const IPV6 = /(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:\.\d{1,3}){0,3}(?![\w:])/gi;

/** Takes out of a text what is nobody else's business. */
export function createVeil({ homes, hosts, names }: Hidden): Veil {
  const others = [...new Set(hosts.filter((host) => host !== 'localhost' && parseIp(host) === null))];
  const replacements = [
    ...homes.filter((home) => home.length > 1).map((home) => [home, '~'] as const),
    ...others.map((host, index) => [host, `host-${index + 1}`] as const),
    ...names.map((name) => [name, mask(name)] as const),
  ];
  return (text) => {
    let out = redact(text);
    for (const [hidden, shown] of replacements) out = out.replaceAll(hidden, shown);
    return out.replace(IPV4, veiledIp).replace(IPV6, veiledIp);
  };
}

function veiledIp(text: string): string {
  const ip = parseIp(text);
  // Where FLM itself listens says nothing about anybody.
  return ip === null || ip === '0.0.0.0' || ip === '::' || isLoopback(ip) ? text : maskIp(ip);
}

function hostOf(url: string): string {
  return URL.parse(url)?.hostname ?? '';
}

function machine() {
  return {
    runtime: `bun ${Bun.version}`,
    compiled: Bun.isStandaloneExecutable,
    platform: platform(),
    release: release(),
    arch: arch(),
    cpus: navigator.hardwareConcurrency,
    memory_bytes: totalmem(),
    uptime_s: Math.round(process.uptime()),
  };
}

/** The end of FLM's own log. The request log stays here: it says who did what. */
function logFiles({ logsDir }: Paths, veil: Veil): SupportBundle['files'] {
  const path = logPathIn(logsDir);
  if (!existsSync(path)) return [];
  const text = readFileSync(path).subarray(-MAX_LOG_BYTES).toString();
  const lines = text.split('\n').slice(-LOG_LINES - 1);
  return [{ name: 'logs/flm.log', text: veil(lines.join('\n')) }];
}

function crashFiles({ crashDir }: Paths, veil: Veil): SupportBundle['files'] {
  if (!existsSync(crashDir)) return [];
  return readdirSync(crashDir)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .map((name) => ({
      name: `crashes/${basename(name)}`,
      text: veil(readFileSync(join(crashDir, name), 'utf8')),
    }));
}

function readme(time: string): string {
  return `What FLM knows of itself, put together ${time} by "flm support bundle".

Left out or made unreadable: API keys and other secrets, what was asked and answered, the request log, addresses of
clients and engines, names of hosts, the home directory, ids of keys. Names of models and engines are in it, and the
names in proxy.allowed_hosts. Read it before you give it to somebody.
`;
}
