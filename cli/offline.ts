/**
 * The backend of a command while no FLM runs: the rooms themselves, on the data directory. What the admin API checks of
 * the input when FLM runs is checked here. Loaded only when needed: a command that talks to a running FLM needs no room.
 */

import { EraseInput as ActivityEraseInput } from '../src/activity';
import type { OwnerApi } from '../src/admin/client';
import { KeyInput, RotateInput } from '../src/admission';
import { type App, openApp } from '../src/app';
import { AuditFilter, AuditQuery, CheckpointQuery, EraseInput } from '../src/audit';
import { SettingInput } from '../src/config';
import { EgressLoginInput, EgressTestInput } from '../src/egress';
import { EngineInput } from '../src/engines';
import { FlmError } from '../src/lib/errors';
import { requireValid } from '../src/lib/validate';
import { AliasInput, StrategyInput } from '../src/models';
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
  const { proxies, check, support, close } = app;
  return {
    mode: 'offline',
    ...checked(
      app,
      once(() => tell(cli)),
    ),
    proxies,
    check,
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
  { keys, engines, config, models, sessions, audit, activity, wayOut }: App,
  onChange: () => void,
): Pick<OwnerApi, 'keys' | 'engines' | 'config' | 'models' | 'sessions' | 'audit' | 'activity' | 'wayOut'> {
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
    audit: {
      list: async (query) => audit.list(requireValid(AuditQuery, query)),
      export: async (filter, format) => audit.export(requireValid(AuditFilter, filter), format),
      verify: async (checkpoint) => audit.verify(requireValid(CheckpointQuery, checkpoint)),
      checkpoint: told(audit.checkpoint),
      erase: told(async (input) => audit.erase(requireValid(EraseInput, input))),
    },
    activity: {
      ...activity,
      erase: told(async (input) => activity.erase(requireValid(ActivityEraseInput, input))),
    },
    wayOut: {
      ...wayOut,
      test: async (input) => wayOut.test(requireValid(EgressTestInput, input)),
      setLogin: told(async (input) => wayOut.setLogin(requireValid(EgressLoginInput, input))),
      removeLogin: told(wayOut.removeLogin),
    },
  };
}
