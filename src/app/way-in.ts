/**
 * The way of a client's request through the rooms: security lets it in, admission and its limits allow it, the gateway
 * serves it. Security is there for the owner's commands too; the rest is made for the first proxy, and shared by all.
 */
import type { Databases } from '../../db';
import {
  createAdmission,
  createLimitRows,
  createLimits,
  type Keys,
  type Limits,
  type Slots,
} from '../admission';
import type { Audit } from '../audit';
import type { Config } from '../config';
import type { Clock } from '../contract';
import type { Engines } from '../engines';
import { createGateway, type Gateway } from '../gateway';
import type { Bus } from '../lib/bus';
import { FlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import type { Connections } from '../listeners';
import type { Models } from '../models';
import type { Policies } from '../policy';
import { createSecurity, createSecurityStore, type Security, type SecurityOptions } from '../security';
import type { Telemetry } from '../telemetry';
import { type Late, late } from './late';

export interface WayInOptions {
  readonly db: Databases;
  readonly audit: Audit;
  readonly config: Config;
  readonly keys: Keys;
  readonly policy: Policies;
  readonly models: Models;
  readonly engines: Engines;
  readonly slots: Slots;
  readonly connections: Connections;
  readonly isExposed: () => boolean;
  /** Addresses that came with a good key of late. */
  readonly clients: SecurityOptions['clients'];
  readonly telemetry: () => Telemetry | null;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
}

export interface WayIn {
  readonly security: Security;
  readonly limits: Late<Limits>;
  readonly gateway: Late<Gateway>;
  /** What is under way: all zero when nothing is being served, else something was not given back. */
  open(): OpenWork;
}

export interface OpenWork {
  readonly exchanges: number;
  readonly tickets: number;
  readonly leases: number;
}

export function createWayIn(options: WayInOptions): WayIn {
  const { db, audit, config, keys, models, engines, slots, connections, isExposed, clock, bus, log } =
    options;
  const policy = options.policy.current;

  /** Takes up the limits as the process before this one left them. */
  const limits = late(() =>
    createLimits({
      rows: createLimitRows(db.security),
      policy,
      rulesOf: keys.rulesOf,
      isExposed,
      clock,
      bus,
      log,
    }),
  );

  const security = createSecurity({
    store: createSecurityStore(db.security, audit.inSecurityDb),
    policy,
    isExposed,
    admitStranger: (visit, share) => limits.current()?.stranger(visit, share),
    clients: options.clients,
    clock,
    bus,
    log,
  });

  const admission = late(() => {
    const { isAlias } = models;
    return createAdmission({ slots, limits: limits.open(), gate: engines, isAlias, clock, bus });
  });

  const gateway = late(() => {
    const telemetry = requireOpen(options.telemetry());
    return createGateway({
      keys,
      models,
      catalogue: models,
      admission: admission.open(),
      screen: security.screen,
      policy,
      engines,
      liveness: engines.liveness,
      metrics: telemetry.metrics,
      tracing: telemetry.tracing,
      isReady: () => engines.states().some((state) => state.status.startsWith('running-')),
      minBodyBytesPerSecond: connections.minBodyBytesPerSecond,
      config: config.current,
      clock,
      bus,
      log,
    });
  });

  return {
    security,
    limits,
    gateway,
    open: () => ({
      exchanges: gateway.current()?.busy() ?? 0,
      ...(admission.current()?.open() ?? { tickets: 0, leases: 0 }),
    }),
  };
}

function requireOpen(telemetry: Telemetry | null): Telemetry {
  if (telemetry === null)
    throw new FlmError('INTERNAL_ERROR', { cause: new Error('nothing counts requests') });
  return telemetry;
}
