/** Start-up: how long `flm version` and `flm up` take, idle memory and size, beside the bare runtime's figures. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Flm, type FlmForm, flmFile, startFlm } from './flm';
import type { Goal } from './goals';
import { waitForOk, waitForPort } from './ports';
import { processTree, residentBytes } from './proc';
import { dropRow, type Field } from './rows';
import type { Service, Stage } from './stage';
import { type Spread, spreadOf } from './stats';

const IDLE_AFTER_MS = 5000;

export interface StartupOptions {
  form: FlmForm;
  versionRuns: number;
  listenRuns: number;
  say(text: string): void;
}

/** What a program costs before it has done anything; null where there is no such program. */
export interface StartupFigures {
  versionMs: Spread | null;
  listeningMs: Spread | null;
  idleMb: Spread | null;
  binaryMb: Spread | null;
}

/** A program to be started: a command that ends at once, and a start that resolves when it serves. */
interface Program {
  name: string;
  version: string[];
  file: string;
  listen(): Promise<Service>;
}

/** The figures of FLM, and of the ceiling as what the runtime itself takes; FLM's are null when it is missing. */
export async function benchStartup(stage: Stage, field: Field, options: StartupOptions) {
  const ceiling = await measure(stage, ceilingProgram(stage), options);
  let flm: StartupFigures | null = null;
  try {
    if (field.flm !== null) flm = await measure(stage, flmProgram(stage, field.flm, options.form), options);
  } catch (error) {
    dropRow(stage, field, 'flm', error);
  }
  return { flm, ceiling };
}

/** The goals that the figures answer. */
export function startupGoals(flm: StartupFigures | null, ceiling: StartupFigures): Goal[] {
  const goal = (name: string, limit: number, unit: string, of: keyof StartupFigures): Goal => {
    return { name, limit, unit, digits: 1, seen: flm?.[of] ?? null, reference: ceiling[of] };
  };
  return [
    goal('version (ceiling: bun -e 0)', 40, 'ms', 'versionMs'),
    goal('listening', 150, 'ms', 'listeningMs'),
    goal('idle RSS after 5 s', 90, 'MB', 'idleMb'),
    goal('executable (ceiling: bun)', 140, 'MB', 'binaryMb'),
  ];
}

function ceilingProgram(stage: Stage): Program {
  return {
    name: 'ceiling',
    version: [process.execPath, '-e', '0'],
    file: process.execPath,
    async listen() {
      const service = stage.start([
        process.execPath,
        join(import.meta.dir, 'ceiling.ts'),
        'http://127.0.0.1:9',
      ]);
      await waitForPort(Number(await service.firstLine()), service);
      return service;
    },
  };
}

function flmProgram(stage: Stage, flm: Flm, form: FlmForm): Program {
  return {
    name: 'flm',
    version: [...flm.command, 'version'],
    file: form === 'executable' ? flmFile(form) : process.execPath,
    async listen() {
      const { service, port } = startFlm(stage, flm);
      await waitForOk(`http://127.0.0.1:${port}/health`, service);
      return service;
    },
  };
}

async function measure(stage: Stage, program: Program, options: StartupOptions): Promise<StartupFigures> {
  options.say(`startup ${program.name}`);
  const versionMs: number[] = [];
  for (let run = 0; run < options.versionRuns; run++) {
    const startedMs = performance.now();
    const { exitCode } = await stage.run(program.version);
    versionMs.push(performance.now() - startedMs);
    if (exitCode !== 0) throw new Error(`${program.version.join(' ')}: exit ${exitCode}`);
  }
  const listeningMs: number[] = [];
  let idleBytes = 0;
  for (let run = 0; run < options.listenRuns; run++) {
    const startedMs = performance.now();
    const service = await program.listen();
    listeningMs.push(performance.now() - startedMs);
    if (run === options.listenRuns - 1) {
      await Bun.sleep(IDLE_AFTER_MS);
      idleBytes = residentBytes(processTree(service.pid));
    }
    await service.stop();
  }
  return {
    versionMs: spreadOf(versionMs),
    listeningMs: spreadOf(listeningMs),
    idleMb: spreadOf([idleBytes / 1e6]),
    binaryMb: spreadOf([statSync(program.file).size / 1e6]),
  };
}
