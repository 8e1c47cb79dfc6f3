/**
 * The backend of a command while no FLM runs: the rooms themselves, on the data directory. What the admin API checks of
 * the input when FLM runs is checked here. Loaded only when needed: a command that talks to a running FLM needs no room.
 */
import type { OwnerApi } from '../src/admin/client';
import { KeyInput, RotateInput } from '../src/admission';
import { type App, openApp } from '../src/app';
import { SettingInput } from '../src/config';
import { EngineInput } from '../src/engines';
import { requireValid } from '../src/lib/validate';
import { AliasInput, StrategyInput } from '../src/models';
import type { Cli } from './cli';
import { stderrLog } from './log';

export interface OfflineBackend extends OwnerApi {
  readonly mode: 'offline';
  close(): Promise<void>;
}

/** @throws as openApp; DB_LOCKED when another process keeps the data directory for longer than `lockWaitMs` */
export async function openOffline(cli: Cli, lockWaitMs: number): Promise<OfflineBackend> {
  const { paths, env, clock } = cli;
  const log = stderrLog(cli, () => 'warn');
  const app = await openApp({ paths, env, clock, log, flags: {}, running: false, lockWaitMs });
  const { check, close } = app;
  const { proxies } = app;
  return { mode: 'offline', ...checked(app), proxies, check, close, status: async () => app.status() };
}

function checked({
  keys,
  engines,
  config,
  models,
}: App): Pick<OwnerApi, 'keys' | 'engines' | 'config' | 'models'> {
  return {
    keys: {
      ...keys,
      create: async (input) => keys.create(requireValid(KeyInput, input)),
      rotate: async (id, input) => keys.rotate(id, requireValid(RotateInput, input)),
    },
    engines: { ...engines, add: async (input) => engines.add(requireValid(EngineInput, input)) },
    config: {
      ...config,
      set: async (key, value) => config.set(key, requireValid(SettingInput, { value }).value),
    },
    models: {
      ...models,
      setAlias: async (input) => models.setAlias(requireValid(AliasInput, input)),
      setStrategy: async (input) => models.setStrategy(requireValid(StrategyInput, input)),
    },
  };
}
