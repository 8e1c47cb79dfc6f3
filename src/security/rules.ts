/** What the policy says about abuse, with the defaults filled in (FLM-109, FLM-111). Made once for each policy. */
import type { AuditSeverity } from '../contract';
import type { Policy, PolicyDocument } from '../policy';
import { type Network, NetworkMap, networksIn } from './networks';

/** Whether something is on, and whether the owner said so or FLM goes by what can be reached from outside. */
export type Switch = 'on' | 'off' | 'automatic-on' | 'automatic-off';

export interface ScoreRules {
  readonly isOn: boolean;
  readonly warnAt: number;
  /** Null: only warn. */
  readonly banAt: number | null;
}

export interface Rules {
  /** Who may come at all; null: everybody. */
  readonly allowed: NetworkMap<true> | null;
  /** Who is never banned. */
  readonly never: NetworkMap<true>;
  readonly neverList: readonly Network[];
  readonly bans: {
    readonly isOn: boolean;
    readonly maxFailures: number;
    readonly firstMs: number;
    readonly permanentAt: number;
  };
  readonly intrusion: ScoreRules;
  readonly anomaly: ScoreRules & { readonly requestsPerSecond: number };
  readonly resources: { readonly isOn: boolean; readonly cpuPercent: number; readonly memoryPercent: number };
  /** Events below this are counted and not put on record. */
  readonly recordFrom: AuditSeverity;
  readonly switches: Readonly<Record<Feature, Switch>>;
}

export const FEATURES = [
  'ip_blocklist',
  'intrusion_detection',
  'anomaly_detection',
  'resource_protection',
] as const;
export type Feature = (typeof FEATURES)[number];

const MINUTE_MS = 60_000;
/** Where nothing else is said, anomalies count as intrusions do (FLM-114). */
const WARN_AT = 50;
const BAN_AT = 100;
export const DEFAULT_PERCENT = 90;

/** `isExposed`: whether a listener can be reached from other machines, which switches on what the policy leaves out. */
export function rulesOf({ document }: Policy, isExposed: boolean): Rules {
  const { ip_blocklist: bans, intrusion_detection: intrusion, anomaly_detection: anomaly } = document;
  const { resource_protection: resources, ip_whitelist: allowed = [] } = document;
  const switches = switchesOf(document, isExposed);
  const isOn = (feature: Feature) => switches[feature].endsWith('on');
  const neverList = networksIn(bans?.never ?? []);
  return {
    allowed: allowed.length === 0 ? null : setOf(networksIn(allowed)),
    never: setOf(neverList),
    neverList,
    bans: {
      isOn: isOn('ip_blocklist'),
      maxFailures: bans?.max_failures ?? 5,
      firstMs: (bans?.block_duration_minutes ?? 30) * MINUTE_MS,
      permanentAt: bans?.permanent_block_threshold ?? 20,
    },
    intrusion: {
      isOn: isOn('intrusion_detection'),
      warnAt: intrusion?.warning_threshold ?? WARN_AT,
      banAt: intrusion?.score_threshold ?? BAN_AT,
    },
    anomaly: {
      isOn: isOn('anomaly_detection'),
      warnAt: WARN_AT,
      banAt: anomaly?.auto_block === false ? null : BAN_AT,
      requestsPerSecond: anomaly?.request_rate_threshold ?? 100,
    },
    resources: {
      isOn: isOn('resource_protection'),
      cpuPercent: resources?.cpu_threshold ?? DEFAULT_PERCENT,
      memoryPercent: resources?.memory_threshold ?? DEFAULT_PERCENT,
    },
    recordFrom: document.log_level ?? 'low',
    switches,
  };
}

function switchesOf(document: PolicyDocument, isExposed: boolean): Record<Feature, Switch> {
  const stateOf = (feature: Feature): Switch => {
    const enabled = document[feature]?.enabled;
    if (enabled === undefined) return isExposed ? 'automatic-on' : 'automatic-off';
    return enabled ? 'on' : 'off';
  };
  return {
    ip_blocklist: stateOf('ip_blocklist'),
    intrusion_detection: stateOf('intrusion_detection'),
    anomaly_detection: stateOf('anomaly_detection'),
    resource_protection: stateOf('resource_protection'),
  };
}

function setOf(networks: readonly Network[]): NetworkMap<true> {
  const set = new NetworkMap<true>();
  for (const network of networks) set.set(network, true);
  return set;
}
