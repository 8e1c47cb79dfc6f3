/**
 * The telemetry room: what FLM counts, the request log, traces, and how FLM itself is. It listens on the bus and asks
 * others for numbers when somebody reads them; nothing of it is in the way of a request.
 */
import { join } from 'node:path';
import type { Clock, EngineState } from '../contract';
import type { Bus } from '../lib/bus';
import type { Log } from '../lib/log';
import { type LogFile, type LogFileLimits, openLogFile } from '../lib/log-file';
import type { Env, Paths } from '../lib/paths';
import { EXPOSITION_TYPE, exposition } from './exposition';
import { sampleLoop, watchJournals, watchProcess } from './health';
import type { Otlp, Post } from './otlp';
import { Counter, createRegistry, type Registry } from './registry';
import { logRequests } from './request-log';
import { countTraffic } from './traffic';

export { type Alerts, createAlerts } from './alerts';
export type { PostWebhook } from './alerts/deliveries';
export {
  ALERT_EVENTS,
  ALERT_SEVERITIES,
  type AlertDelivery,
  AlertDeliveryQuery,
  type AlertRule,
  AlertRuleInput,
  type AlertsApi,
  type AlertTarget,
  AlertTargetInput,
  AlertTestInput,
  type AlertTestReport,
  DELIVERY_STATES,
} from './alerts/model';
export { type AlertStore, createAlertStore } from './alerts/store';
export { type CrashFacts, type CrashHandler, installCrashHandler, writeCrashFile } from './crash';
export type { Post } from './otlp';

/** How the room that keeps the records of requests is doing. */
export interface ActivityQueue {
  /** Rows that are not on the disk yet. */
  readonly queued: number;
  /** Rows that were lost since the start. */
  readonly dropped: number;
}

/** When a certificate ends. */
export interface CertificateEnd {
  readonly kind: string;
  readonly id: string;
  readonly domain: string;
  readonly notAfterMs: number;
}

/** What became of alerts since the start. */
export interface AlertCounts {
  readonly raised: number;
  readonly sent: number;
  readonly retried: number;
  readonly failed: number;
  readonly waiting: number;
}

/** The settings that this room looks at. */
export interface TelemetrySettings {
  readonly 'log.requests': 'off' | 'stdout' | 'file';
  readonly 'log.client_ips': 'masked' | 'full';
  readonly 'log.max_bytes': number;
  readonly 'log.max_age_hours': number;
  readonly 'log.keep_files': number;
}

export interface TelemetryOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Env;
  readonly paths: Paths;
  readonly version: string;
  readonly config: () => TelemetrySettings;
  /** What is under way. */
  readonly open: () => { readonly exchanges: number; readonly tickets: number; readonly leases: number };
  /** Connections of clients: how many are open, where somebody counts them, and how many were cut, by reason. */
  readonly connections: {
    readonly open: () => number | null;
    readonly cut: Readonly<Record<string, number>>;
  };
  readonly engines: () => readonly EngineState[];
  /** Requests that an engine works on, and that wait for it. */
  readonly loadOf: (engineId: string) => { readonly active: number; readonly waiting: number };
  /** Null where nobody keeps records. */
  readonly activity: (() => ActivityQueue) | null;
  /** What ends when, of roots and of what servers show. */
  readonly certificates: () => readonly CertificateEnd[];
  /** What became of alerts. */
  readonly alerts: () => AlertCounts;
  /** The tunnel that everything leaves through, where there is one. */
  readonly tunnel: () => { readonly mode: string; readonly state: string; readonly losses: number };
  /** The way out, for OpenTelemetry. */
  readonly post: Post;
  /** Writes a line to stdout, or says that it cannot: nobody reads there any more. */
  readonly stdout: (line: string) => boolean;
}

export interface Telemetry {
  /** Null where FLM keeps no traces. */
  readonly tracing: Otlp['tracing'];
  /** Everything that is counted, as text for Prometheus. */
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
  /** From now on another process tells of requests that end here: neither the request log nor traces get them. */
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

export async function createTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { bus, clock, log, env, paths, config, version, engines } = options;
  const registry = createRegistry();
  const isKnown = (engineId: string, model: string) =>
    engines().some(({ ref, models }) => ref.id === engineId && models.some(({ id }) => id === model));
  const requestLog = openLogFile({
    path: join(paths.logsDir, 'requests.log'),
    limits: () => logLimits(config()),
    clock,
    log,
  });
  const stdoutLost = new Counter();
  const fullIps = () => config()['log.client_ips'] === 'full';
  let isPaused = false;
  const stops = [
    countTraffic({ registry, bus, isKnown }),
    logRequests({
      bus,
      destination: () => (isPaused ? 'off' : config()['log.requests']),
      fullIps,
      toFile: requestLog.write,
      toStdout: options.stdout,
      onLost: () => stdoutLost.add(),
    }),
    sampleLoop(registry, clock),
  ];
  watchProcess(registry, clock, version);
  watchJournals(registry, { config: paths.configDb, security: paths.securityDb });
  watchWork(registry, options);
  watchCertificates(registry, options);
  watchAlerts(registry, options.alerts);
  watchTunnel(registry, options);
  watchQueues(registry, options, () => {
    const { written, lost } = requestLog.counts();
    return { written, lost: lost + stdoutLost.value };
  });
  // Nobody who has no collector pays for the code that talks to one.
  const otlp = wantsOtlp(env)
    ? (await import('./otlp')).startOtlp({
        env,
        registry,
        bus,
        post: options.post,
        clock,
        log,
        version,
        fullIps,
      })
    : null;

  return {
    tracing: otlp?.tracing ?? null,
    metrics: async () => ({ type: EXPOSITION_TYPE, text: await exposition(registry.families()) }),
    pause() {
      isPaused = true;
      otlp?.pause();
    },
    resume() {
      isPaused = false;
      otlp?.resume();
    },
    async close() {
      for (const stop of stops) stop();
      await Promise.all([requestLog.close(), otlp?.close()]);
    },
  };
}

/** How large, how old and how many log files may become. */
export function logLimits(settings: TelemetrySettings): LogFileLimits {
  return {
    maxBytes: settings['log.max_bytes'],
    maxAgeMs: settings['log.max_age_hours'] * 3_600_000,
    keepFiles: settings['log.keep_files'],
  };
}

/** Whether the environment names a collector. */
function wantsOtlp(env: Env): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return false;
  const { OTEL_EXPORTER_OTLP_ENDPOINT: all } = env;
  return Boolean(all || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT);
}

/** What is under way, and who works on it. */
function watchWork(registry: Registry, { open, connections, engines, loadOf }: TelemetryOptions): void {
  const gauge = (name: string, help: string, value: () => number) =>
    registry.read('gauge', name, help, value);
  gauge(
    'flm_proxy_connections_active',
    'Connections of clients; where FLM does not watch them, only those with a request under way.',
    () => connections.open() ?? open().exchanges,
  );
  registry.readMany(
    'counter',
    'flm_proxy_connections_cut_total',
    'Connections that FLM cut because they were too slow or too many.',
    ['reason'],
    () => Object.entries(connections.cut).map(([reason, value]) => ({ labels: [reason], value })),
  );
  gauge('flm_proxy_requests_active', 'Requests of clients that are being served.', () => open().exchanges);
  gauge('flm_open_tickets', 'Requests that were let in and are not over.', () => open().tickets);
  gauge('flm_open_leases', 'Requests that engines work on.', () => open().leases);
  const ofEngines = (name: string, help: string, value: (state: EngineState) => number) =>
    registry.readMany('gauge', name, help, ['engine', 'kind'], () =>
      engines().map((state) => ({ labels: [state.ref.id, state.ref.kind], value: value(state) })),
    );
  ofEngines('flm_engine_up', 'Whether the engine can be asked.', ({ status }) =>
    status.startsWith('running-') ? 1 : 0,
  );
  ofEngines('flm_engine_models', 'Models that the engine has.', ({ models }) => models.length);
  ofEngines(
    'flm_engine_requests_active',
    'Requests that the engine works on.',
    ({ ref }) => loadOf(ref.id).active,
  );
  ofEngines(
    'flm_engine_requests_waiting',
    'Requests that wait for the engine.',
    ({ ref }) => loadOf(ref.id).waiting,
  );
}

/** The id is told by its beginning: it is there to tell apart, and a whole one makes lines long. */
function watchCertificates(registry: Registry, { certificates }: TelemetryOptions): void {
  registry.readMany(
    'gauge',
    'flm_certificate_expiry_timestamp_seconds',
    'When the certificate ends, Unix time. Kind root: of a private authority; manual: one that the owner brought.',
    ['kind', 'domain', 'id'],
    () =>
      certificates().map(({ kind, domain, id, notAfterMs }) => ({
        labels: [kind, domain, id.slice(0, 16)],
        value: Math.floor(notAfterMs / 1_000),
      })),
  );
}

/** What somebody was told of, and what did not arrive. */
function watchAlerts(registry: Registry, alerts: () => AlertCounts): void {
  const counter = (name: string, help: string, value: () => number) =>
    registry.read('counter', name, help, value);
  counter('flm_alerts_raised_total', 'Alerts that began.', () => alerts().raised);
  counter('flm_alert_deliveries_sent_total', 'Messages that a target of alerts took.', () => alerts().sent);
  counter(
    'flm_alert_deliveries_retried_total',
    'Attempts to send an alert that failed and are repeated.',
    () => alerts().retried,
  );
  counter('flm_alert_deliveries_failed_total', 'Messages that were given up.', () => alerts().failed);
  registry.read(
    'gauge',
    'flm_alert_deliveries_waiting',
    'Messages that wait to be sent.',
    () => alerts().waiting,
  );
}

/** The way out. A tunnel that nobody wants has no numbers. */
function watchTunnel(registry: Registry, { tunnel }: TelemetryOptions): void {
  const gauge = (name: string, help: string, value: (state: string) => boolean) =>
    registry.readMany('gauge', name, help, ['mode'], () => {
      const { mode, state } = tunnel();
      return mode === 'direct' ? [] : [{ labels: [mode], value: value(state) ? 1 : 0 }];
    });
  gauge(
    'flm_egress_tunnel_up',
    'Whether the tunnel for everything that leaves this machine stands.',
    (state) => ['up', 'starting'].includes(state),
  );
  gauge(
    'flm_egress_bypassed',
    'Whether requests go straight out because the tunnel is down.',
    (state) => state === 'bypassed',
  );
  registry.read(
    'counter',
    'flm_egress_tunnel_losses_total',
    'How often the tunnel was lost.',
    () => tunnel().losses,
  );
}

/** What waits to be written, and what was lost on the way. */
function watchQueues(
  registry: Registry,
  { bus, activity }: TelemetryOptions,
  logged: LogFile['counts'],
): void {
  const counter = (name: string, help: string, value: () => number | null) =>
    registry.read('counter', name, help, value);
  counter(
    'flm_bus_dropped_total',
    'Events that came faster than somebody inside FLM could take them.',
    bus.dropped,
  );
  counter(
    'flm_request_log_lines_total',
    'Lines written to the file of the request log.',
    () => logged().written,
  );
  counter('flm_request_log_lost_total', 'Lines the request log could not take.', () => logged().lost);
  registry.read('gauge', 'flm_activity_queued', 'Records of requests that are not on the disk yet.', () =>
    activity === null ? null : activity().queued,
  );
  counter('flm_activity_dropped_total', 'Records of requests that were lost.', () =>
    activity === null ? null : activity().dropped,
  );
}
