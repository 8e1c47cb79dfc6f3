/**
 * The backend of a command while no FLM runs: the rooms themselves, on the data directory. What the admin API checks of
 * the input when FLM runs is checked here. Loaded only when needed: a command that talks to a running FLM needs no room.
 */

import { CertificateInput, RotateCaInput } from '../certs';
import { EraseInput as ActivityEraseInput } from '../src/activity';
import type { OwnerApi } from '../src/admin/client';
import { KeyChange, KeyInput, RotateInput } from '../src/admission';
import { type App, openApp } from '../src/app';
import { AuditFilter, AuditQuery, CheckpointQuery, EraseInput } from '../src/audit';
import { SettingInput } from '../src/config';
import { EgressLoginInput, EgressTestInput } from '../src/egress';
import { EngineInput } from '../src/engines';
import { FlmError } from '../src/lib/errors';
import { requireValid } from '../src/lib/validate';
import { AliasInput, StrategyInput } from '../src/models';
import { HistoryQuery, NetworkInput, PolicyInput, RollbackInput } from '../src/policy';
import { AnomalyQuery, BanInput, BanQuery, IntrusionQuery } from '../src/security';
import { AlertDeliveryQuery, AlertRuleInput, AlertTargetInput, AlertTestInput } from '../src/telemetry';
import type { Cli } from './cli';
import { stderrLog } from './log';

export interface OfflineBackend extends OwnerApi {
  readonly mode: 'offline';
  close(): Promise<void>;
}

/** What a person is told who has changed something while no FLM runs. */
export const OFFLINE_NOTE = 'FLM does not run: done in the data directory.';

/** @throws as openApp; DB_LOCKED when another process keeps the data directory for longer than `lockWaitMs` */
export async function openOffline(cli: Cli, lockWaitMs: number): Promise<OfflineBackend> {
  const { paths, env, clock } = cli;
  const log = stderrLog(cli, () => 'warn');
  const app = await openApp({ paths, env, clock, log, flags: {}, running: false, lockWaitMs });
  const { proxies, check, exposure, support, close } = app;
  return {
    mode: 'offline',
    ...checked(
      app,
      once(() => tell(cli)),
    ),
    proxies,
    check,
    exposure,
    support,
    close,
    status: async () => app.status(),
  };
}

/** Beside JSON nothing is said: a script asks "flm status". */
function tell(cli: Cli): void {
  if (cli.format === 'text') cli.note(OFFLINE_NOTE);
}

/** One command may make two changes. */
function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}

function checked(
  { keys, engines, config, models, sessions, policy, audit, activity, alerts, security, certs, wayOut }: App,
  onChange: () => void,
): Pick<
  OwnerApi,
  | 'keys'
  | 'engines'
  | 'config'
  | 'models'
  | 'sessions'
  | 'policy'
  | 'audit'
  | 'activity'
  | 'alerts'
  | 'security'
  | 'certs'
  | 'wayOut'
> {
  /** The same change, of which is told once it is made. */
  function told<Args extends readonly unknown[], Result>(
    change: (...args: Args) => Promise<Result>,
  ): (...args: Args) => Promise<Result> {
    return async (...args) => {
      const result = await change(...args);
      onChange();
      return result;
    };
  }

  return {
    keys: {
      ...keys,
      create: told(async (input) => keys.create(requireValid(KeyInput, input))),
      update: told(async (id, change) => keys.update(id, requireValid(KeyChange, change))),
      collect: told(keys.collect),
      rotate: told(async (id, input) => keys.rotate(id, requireValid(RotateInput, input))),
      revoke: told(keys.revoke),
    },
    engines: {
      ...engines,
      add: told(async (input) => engines.add(requireValid(EngineInput, input))),
      remove: told(engines.remove),
    },
    config: {
      ...config,
      set: told(async (key, value) => config.set(key, requireValid(SettingInput, { value }).value)),
      unset: told(config.unset),
    },
    models: {
      ...models,
      setAlias: told(async (input) => models.setAlias(requireValid(AliasInput, input))),
      removeAlias: told(models.removeAlias),
      setStrategy: told(async (input) => models.setStrategy(requireValid(StrategyInput, input))),
      unsetStrategy: told(models.unsetStrategy),
    },
    sessions: {
      ...sessions,
      // Nobody is there who could take it.
      issueToken: async () => {
        throw new FlmError('PROXY_NOT_RUNNING');
      },
      close: told(sessions.close),
    },
    policy: {
      ...policy,
      set: told(async (input) => policy.set(requireValid(PolicyInput, input))),
      history: async (query) => policy.history(requireValid(HistoryQuery, query)),
      rollback: told(async (input) => policy.rollback(requireValid(RollbackInput, input))),
      allow: told(async (input) => policy.allow(requireValid(NetworkInput, input))),
      disallow: told(async (input) => policy.disallow(requireValid(NetworkInput, input))),
    },
    audit: {
      list: async (query) => audit.list(requireValid(AuditQuery, query)),
      export: async (filter, format) => audit.export(requireValid(AuditFilter, filter), format),
      verify: async (checkpoint) => audit.verify(requireValid(CheckpointQuery, checkpoint)),
      checkpoint: told(audit.checkpoint),
      erase: told(async (input) => audit.erase(requireValid(EraseInput, input))),
    },
    alerts: {
      rules: alerts.rules,
      setRule: told(async (id, input) => alerts.setRule(id, requireValid(AlertRuleInput, input))),
      removeRule: told(alerts.removeRule),
      targets: alerts.targets,
      setTarget: told(async (id, input) => alerts.setTarget(id, requireValid(AlertTargetInput, input))),
      removeTarget: told(alerts.removeTarget),
      deliveries: async (query) => alerts.deliveries(requireValid(AlertDeliveryQuery, query)),
      test: async (input) => alerts.test(requireValid(AlertTestInput, input)),
    },
    activity: {
      ...activity,
      erase: told(async (input) => activity.erase(requireValid(ActivityEraseInput, input))),
    },
    certs: {
      ...certs,
      import: told(async (input) => certs.import(requireValid(CertificateInput, input))),
      remove: told(certs.remove),
      rotateCa: told(async (input) => certs.rotateCa(requireValid(RotateCaInput, input))),
    },
    security: {
      ...security,
      bans: async (query) => security.bans(requireValid(BanQuery, query)),
      ban: told(async (input) => security.ban(requireValid(BanInput, input))),
      unban: told(security.unban),
      clearBans: told(security.clearBans),
      intrusions: async (query) => security.intrusions(requireValid(IntrusionQuery, query)),
      anomalies: async (query) => security.anomalies(requireValid(AnomalyQuery, query)),
    },
    wayOut: {
      ...wayOut,
      test: async (input) => wayOut.test(requireValid(EgressTestInput, input)),
      setLogin: told(async (input) => wayOut.setLogin(requireValid(EgressLoginInput, input))),
      removeLogin: told(wayOut.removeLogin),
    },
  };
}
