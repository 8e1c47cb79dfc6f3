/**
 * The trial engine, for people who have none yet: the real llama.cpp server with a small model, installed by the
 * machine's own Python into FLM's data directory and run by FLM on a loopback port. This file joins the parts.
 */
import { existsSync } from 'node:fs';
import type { Clock } from '../../contract';
import { FlmError } from '../../lib/errors';
import type { Log } from '../../lib/log';
import type { Env } from '../../lib/paths';
import { engineDir, installEngine, removeEngine } from './install';
import { findRunner } from './installers';
import { TRIAL_MODEL } from './packages';
import { SLOTS, startProcess } from './process';
import { isInstalled, readRecord, writeRecord } from './record';
import { createSupervisor } from './supervisor';

export interface TrialState {
  readonly installed: boolean;
  /** Whether it listens now. */
  readonly running: boolean;
  /** `http://127.0.0.1:<port>` while it runs. */
  readonly baseUrl: string | null;
  readonly pid: number | null;
  readonly model: string;
  /** Requests it works on at once. */
  readonly slots: number;
  /** How often it died and was started again since start(). */
  readonly restarts: number;
  /** Why it does not run, when it should; in a few words. */
  readonly error: string | null;
}

export interface TrialAddress {
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly model: string;
  readonly slots: number;
}

export interface TrialInstallOptions {
  /** Takes one line for the person who waits: what comes, how large, under which licence, how far it is. */
  progress(line: string): void;
  readonly signal?: AbortSignal;
}

export interface Trial {
  state(): TrialState;
  /**
   * Downloads and installs the engine, unless it is there already.
   * @throws TRIAL_UNAVAILABLE when this machine cannot; the signal's reason when it aborts; IO_ERROR
   */
  install(options: TrialInstallOptions): Promise<void>;
  /** Ends the engine and every installation under way, and takes the engine off the disk. @throws IO_ERROR */
  remove(): Promise<void>;
  /**
   * Starts the installed engine, unless it runs, and from then on again whenever it dies, until stop().
   * @throws TRIAL_FAILED when it is not installed or does not start
   */
  start(): Promise<TrialAddress>;
  /** Ends the engine, also while it starts, and resolves when its process has gone. */
  stop(): Promise<void>;
}

export interface TrialOptions {
  /** The trial directory, such as `<data>/trial`; made when needed. */
  readonly dir: string;
  readonly env: Env;
  readonly log: Log;
  readonly clock: Clock;
  /** Called after every change of the state. Must not throw. */
  onChange(state: TrialState): void;
}

/** The trial engine of one data directory. Does nothing until asked to. */
export function createTrial(options: TrialOptions): Trial {
  const { dir, env, log, clock } = options;
  const installations = new Map<AbortController, Promise<void>>();

  const supervisor = createSupervisor({
    clock,
    log,
    onChange,
    launch: async (port, signal) =>
      startProcess({ python: await requirePython(), directory: engineDir(dir), port, env, signal }),
  });

  function state(): TrialState {
    const { running, pid, port, restarts, error } = supervisor.state();
    return {
      installed: isInstalled(engineDir(dir)),
      running,
      baseUrl: port === null ? null : baseUrlOf(port),
      pid,
      model: TRIAL_MODEL,
      slots: SLOTS,
      restarts,
      error,
    };
  }

  function onChange(): void {
    options.onChange(state());
  }

  /** The Python the engine was installed with; when that has gone, any other that fits. */
  async function requirePython(): Promise<string> {
    const directory = engineDir(dir);
    const record = await readRecord(directory);
    if (record === null) {
      throw new FlmError('TRIAL_FAILED', {
        meta: { reason: 'it is not installed' },
        hint: 'Install it: flm engines try',
      });
    }
    if (existsSync(record.python)) return record.python;
    const python = await findRunner({ env, cwd: directory });
    if (python === null) {
      throw new FlmError('TRIAL_FAILED', { meta: { reason: `its Python has gone (${record.python})` } });
    }
    await writeRecord(directory, { ...record, python });
    return python;
  }

  return {
    state,

    async install({ progress, signal }) {
      const controller = new AbortController();
      const signals = signal ? [controller.signal, signal] : [controller.signal];
      const installing = installEngine({ dir, env, clock, progress, signal: AbortSignal.any(signals) });
      installations.set(controller, installing);
      await installing.finally(() => installations.delete(controller));
      onChange();
    },

    async remove() {
      const reason = new FlmError('TRIAL_UNAVAILABLE', { meta: { reason: 'it was removed meanwhile' } });
      for (const controller of installations.keys()) controller.abort(reason);
      await Promise.allSettled(installations.values());
      await supervisor.stop();
      await removeEngine(dir, clock);
      onChange();
    },

    async start() {
      const port = await supervisor.start();
      return { baseUrl: baseUrlOf(port), model: TRIAL_MODEL, slots: SLOTS };
    },

    stop: () => supervisor.stop(),
  };
}

function baseUrlOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}
