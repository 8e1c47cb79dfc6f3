/**
 * The admin API from the other side: what the CLI calls when FLM runs. The rooms' own interfaces, over the operations that
 * are made of the OpenAPI document: a new route is one line here.
 */
import type { CertsApi } from '../../certs';
import type { ActivityApi, ActivityFilter, StatsQuery } from '../activity';
import type { CreatedKey, KeysApi } from '../admission';
import type { AuditApi, AuditEntry, WatchQuery } from '../audit';
import type { ConfigApi } from '../config';
import type { DaemonApi } from '../daemon';
import type { Egress, EgressApi } from '../egress';
import type { EnginesApi } from '../engines';
import type { ExposureApi, ProxiesApi } from '../listeners';
import type { ModelsApi } from '../models';
import type { PolicyApi } from '../policy';
import type { SecurityApi } from '../security';
import type { AlertsApi } from '../telemetry';
import { askAt, eventsOf, jsonOf, textOf } from './ask';
import { operationsOver } from './client.gen';
import type { CheckReport, Status, SupportBundle } from './model';
import type { SessionsApi } from './sessions/model';
import { wayTo } from './socket';

export type { CheckReport, Status, SupportBundle } from './model';
export type { IssuedToken, SessionList, SessionView } from './sessions/model';

/** What the owner can do, whether FLM runs or not. */
export interface OwnerApi {
  readonly keys: KeysApi;
  readonly engines: EnginesApi;
  readonly config: ConfigApi;
  readonly models: ModelsApi;
  readonly sessions: SessionsApi;
  readonly proxies: Omit<ProxiesApi, 'start'>;
  readonly policy: PolicyApi;
  readonly audit: AuditApi;
  readonly activity: ActivityApi;
  readonly certs: CertsApi;
  readonly alerts: AlertsApi;
  readonly exposure: ExposureApi['exposure'];
  readonly security: SecurityApi;
  readonly wayOut: EgressApi;
  status(signal?: AbortSignal): Promise<Status>;
  check(): Promise<CheckReport>;
  support(): Promise<SupportBundle>;
}

export interface AdminClient extends OwnerApi {
  readonly keys: KeysApi & { ephemeral(): Promise<Pick<CreatedKey, 'plain_key'>> };
  readonly proxies: ProxiesApi;
  readonly daemon: DaemonApi;
  readonly audit: AuditApi & {
    /** Rows as they are put on record, after row `after` or some of the newest first. Ends with the connection. */
    watch(query: WatchQuery, after: number | null, signal: AbortSignal): AsyncIterable<AuditEntry>;
  };
}

/**
 * A client of the FLM that listens on the socket. Its calls throw PROXY_NOT_RUNNING when none does.
 * @throws IO_ERROR when the socket could be another user's
 */
export function createAdminClient(egress: Egress, socket: string): AdminClient {
  // Never closed: a program has one client, which it needs to its end.
  const ask = askAt(egress, wayTo(socket).path);
  // Both ends are one version of one program: the answer has passed its schema where it was made.
  const api = operationsOver(async (...question) => (await jsonOf(await ask(...question))) as never);
  return {
    keys: {
      list: () => api.listKeys(),
      create: (body) => api.createKey({ body }),
      ephemeral: () => api.issueEphemeralKey(),
      update: (id, body) => api.updateKey({ params: { id }, body }),
      collect: (id) => api.collectKey({ params: { id } }),
      rotate: (id, body) => api.rotateKey({ params: { id }, body }),
      revoke: (id) => api.revokeKey({ params: { id } }),
    },
    engines: {
      list: () => api.listEngines(),
      healthHistory: ({ engine, model, hours, limit }) =>
        api.readHealthHistory({
          query: { engine: engine ?? undefined, model: model ?? undefined, hours, limit },
        }),
      add: (body) => api.addEngine({ body }),
      detect: () => api.detectEngines(),
      remove: (id) => api.removeEngine({ params: { id } }),
      startTrial: () => api.startTrialEngine(),
      stopTrial: () => api.stopTrialEngine(),
    },
    config: {
      list: () => api.listSettings(),
      get: (key) => api.getSetting({ params: { key } }),
      explain: (key) => api.explainSetting({ params: { key } }),
      set: (key, value) => api.setSetting({ params: { key }, body: { value } }),
      unset: (key) => api.unsetSetting({ params: { key } }),
    },
    models: {
      list: (engine) => api.listModels({ query: { engine: engine ?? undefined } }),
      show: (name) => api.showModel({ query: { name } }),
      aliases: () => api.listAliases(),
      setAlias: (body) => api.setAlias({ body }),
      removeAlias: (name) => api.removeAlias({ query: { name } }),
      strategies: () => api.listStrategies(),
      setStrategy: (body) => api.setStrategy({ body }),
      unsetStrategy: (name) => api.unsetStrategy({ query: { name } }),
    },
    sessions: {
      issueToken: () => api.issueToken(),
      list: () => api.listSessions(),
      close: (id) => api.revokeSession({ params: { id } }),
    },
    proxies: {
      list: () => api.listProxies(),
      start: (body) => api.startProxy({ body }),
      stop: (body) => api.stopProxies({ body }),
      reload: (body) => api.reloadProxies({ body }),
      rotateOnion: (body) => api.rotateOnion({ body }),
      removeOnion: (body) => api.removeOnion({ body }),
    },
    daemon: {
      stop: () => api.stopFlm(),
      handOver: () => api.handOver(),
      elder: (body) => api.tellOfElder({ body }),
    },
    policy: {
      show: () => api.getPolicy(),
      set: (body) => api.setPolicy({ body }),
      validate: (document) => api.validatePolicy({ body: { document } }),
      history: (query) => api.listPolicyVersions({ query }),
      version: (version) => api.getPolicyVersion({ params: { version: String(version) } }),
      rollback: (body) => api.rollBackPolicy({ body }),
      whitelist: () => api.listAllowedNetworks(),
      allow: (body) => api.allowNetwork({ body }),
      disallow: (body) => api.disallowNetwork({ body }),
    },
    audit: {
      list: (query) => api.listAuditEvents({ query }),
      export: async (filter, format) =>
        textOf(ask('GET', '/api/v1/audit/export', { query: { ...filter, format } })),
      verify: (query) => api.verifyAudit({ query }),
      checkpoint: () => api.checkpointAudit(),
      erase: (body) => api.eraseFromAudit({ body }),
      async *watch(query, after, signal) {
        const headers: Record<string, string> = after === null ? {} : { 'last-event-id': String(after) };
        const answer = ask('GET', '/api/v1/audit/events/stream', { query: { ...query }, signal }, headers);
        // Made by the same version of the same program, from a row that fits its schema.
        for await (const entry of eventsOf(answer)) yield entry as AuditEntry;
      },
    },
    activity: {
      list: (filter, page) => api.listActivity({ query: { ...filterOf(filter), ...pageOf(page) } }),
      refusals: (range, page) => api.listRefusals({ query: { ...rangeOf(range), ...pageOf(page) } }),
      stats: ({ by, key, model, engine, ...range }) =>
        api.sumActivity({ query: { by, ...given({ key, model, engine }), ...rangeOf(range) } }),
      export: (filter, format) =>
        textOf(ask('GET', '/api/v1/activity/export', { query: { ...filterOf(filter), format } })),
      verify: () => api.verifyActivity(),
      erase: (body) => api.eraseFromActivity({ body }),
    },
    certs: {
      list: () => api.listCertificates(),
      import: (body) => api.importCertificate({ body }),
      remove: (id) => api.removeCertificate({ params: { id } }),
      status: () => api.getCa(),
      createCa: (body) => api.createCa({ body }),
      rotateCa: (body) => api.rotateCa({ body }),
    },
    alerts: {
      rules: () => api.listAlertRules(),
      setRule: (id, body) => api.setAlertRule({ params: { id }, body }),
      removeRule: (id) => api.removeAlertRule({ params: { id } }),
      targets: () => api.listAlertTargets(),
      setTarget: (id, body) => api.setAlertTarget({ params: { id }, body }),
      removeTarget: (id) => api.removeAlertTarget({ params: { id } }),
      deliveries: (query) => api.listAlertDeliveries({ query }),
      test: (body) => api.testAlerts({ body }),
    },
    exposure: () => api.getExposure(),
    security: {
      bans: (query) => api.listBans({ query }),
      ban: (body) => api.addBan({ body }),
      unban: (ip) => api.liftBan({ query: { ip } }),
      clearBans: () => api.clearBans(),
      standing: (ip) => api.showAddress({ query: { ip } }),
      intrusions: (query) => api.listIntrusions({ query }),
      anomalies: (query) => api.listAnomalies({ query }),
      stats: () => api.readSecurityStats(),
    },
    wayOut: {
      status: () => api.getEgress(),
      test: (body) => api.testEgress({ body }),
      setLogin: (body) => api.setEgressLogin({ body }),
      removeLogin: () => api.removeEgressLogin(),
    },
    status: (signal) => api.getStatus({ signal }),
    check: () => api.runChecks(),
    support: () => api.collectSupport(),
  };
}

function rangeOf({ sinceMs, untilMs }: Pick<StatsQuery, 'sinceMs' | 'untilMs'>) {
  const timeOf = (ms: number | null) => (ms === null ? undefined : new Date(ms).toISOString());
  return { since: timeOf(sinceMs), until: timeOf(untilMs) };
}

function filterOf({ sinceMs, untilMs, requestId, outcome, ...filter }: ActivityFilter) {
  return {
    ...given({ ...filter, request_id: requestId }),
    outcome: outcome ?? undefined,
    ...rangeOf({ sinceMs, untilMs }),
  };
}

function pageOf({ limit, cursor }: { readonly limit: number; readonly cursor: string | null }) {
  return { limit, cursor: cursor ?? undefined };
}

/** A query leaves out what is not there. */
function given<Fields extends Readonly<Record<string, string | null>>>(
  fields: Fields,
): { readonly [Name in keyof Fields]: string | undefined } {
  const entries = Object.entries(fields).map(([name, value]) => [name, value ?? undefined]);
  return Object.fromEntries(entries) as { [Name in keyof Fields]: string | undefined };
}
