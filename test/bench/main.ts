/**
 * `bun run bench`: what FLM costs beside no proxy, nginx and the runtime's ceiling, and whether the goals hold.
 * It needs only bun (and Linux, for /proc); what it starts it stops, also on Ctrl-C.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { benchCatalogue, catalogueGoals } from './catalogue';
import { benchExposed, exposedTable } from './exposed';
import { type Goal, goalTable, httpGoals, streamGoals } from './goals';
import { benchHttp, httpFigures, httpTables } from './http';
import { describeMachine, headerOf, watchOthers } from './machine';
import { openField } from './rows';
import { Stage } from './stage';
import { benchStartup, startupGoals } from './startup';
import { benchStreams, streamFigures, streamTable } from './streams';

const USAGE = `bun run bench [options]
  --quick         short runs, one round: the shape of the table, not figures to quote
  --only PART     http, exposed, streams, startup or catalogue
  --rounds N      interleaved rounds (default 5; streams take at most 3)
  --flm-source    run src/main.ts instead of dist/flm
  --json FILE     write every run to FILE`;

const PARTS = ['http', 'exposed', 'streams', 'startup', 'catalogue'] as const;
const TOKENS_PER_SECOND = 20;
const STREAMS = 1000;
const STREAM_ROUNDS_LIMIT = 3;
/** Others using more than this many cores make the figures doubtful. */
const QUIET_CORES = 0.1;

type Part = (typeof PARTS)[number];

interface Options {
  parts: readonly Part[];
  quick: boolean;
  rounds: number;
  form: 'executable' | 'source';
  json: string | null;
}

/** Reads the command line. @throws Error with what is wrong. */
function readOptions(words: string[]): Options {
  const { values } = parseArgs({
    args: words,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      'flm-source': { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  });
  const parts = PARTS.filter((part) => values.only === undefined || values.only === part);
  if (parts.length === 0) throw new Error(`--only takes one of ${PARTS.join(', ')}`);
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a whole number from 1');
  const form = values['flm-source'] ? 'source' : 'executable';
  return { parts, quick: values.quick, rounds, form, json: values.json ?? null };
}

async function bench(stage: Stage, options: Options): Promise<void> {
  const { quick, rounds, form } = options;
  const say = (text: string) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  };
  const date = new Date();
  const machine = describeMachine();
  const field = await openField(stage, { form, tokensPerSecond: TOKENS_PER_SECOND });
  const report: Record<string, unknown> = { date, machine, versions: field.versions, options };
  console.log(headerOf(machine, field.versions, date));
  for (const { name, reason } of field.missing) console.log(`no row    ${name}: ${reason}`);

  async function section(name: Part, run: () => Promise<{ text: string; goals: Goal[]; data: object }>) {
    if (!options.parts.includes(name)) return;
    const known = field.missing.length;
    const othersSince = watchOthers();
    const { text, goals, data } = await run();
    const others = othersSince();
    report[name] = { ...data, goals, othersCores: others };
    say('');
    console.log(`\n${[text, goalTable(goals)].filter(Boolean).join('\n\n')}`);
    for (const { name: row, reason } of field.missing.slice(known))
      console.log(`row lost  ${row}: ${reason}`);
    if (others > QUIET_CORES)
      console.log(`doubtful  other processes or the host used ${others.toFixed(2)} cores meanwhile`);
  }

  await section('http', async () => {
    const [warmupMs, durationMs] = quick ? [500, 1000] : [1000, 3000];
    const runs = await benchHttp(stage, field, { rounds, warmupMs, durationMs, say });
    const figures = httpFigures(runs);
    return { text: httpTables(figures), goals: httpGoals(figures), data: { runs, figures } };
  });
  await section('exposed', async () => {
    const [warmupMs, durationMs] = quick ? [500, 1000] : [1000, 3000];
    const figures = await benchExposed(stage, { form, rounds, warmupMs, durationMs, say });
    return { text: exposedTable(figures), goals: figures.goals, data: figures };
  });
  await section('streams', async () => {
    const load = { streams: STREAMS, tokensPerSecond: TOKENS_PER_SECOND, seconds: quick ? 4 : 10 };
    const runs = await benchStreams(stage, field, {
      ...load,
      rounds: Math.min(rounds, STREAM_ROUNDS_LIMIT),
      say,
    });
    const figures = streamFigures(runs, STREAMS);
    return {
      text: streamTable(figures, load),
      goals: streamGoals(figures, STREAMS),
      data: { runs, figures },
    };
  });
  await section('startup', async () => {
    const [versionRuns, listenRuns] = quick ? [5, 3] : [20, 10];
    const figures = await benchStartup(stage, field, { form, versionRuns, listenRuns, say });
    return { text: '', goals: startupGoals(figures.flm, figures.ceiling), data: figures };
  });
  await section('catalogue', async () => {
    const [requests, idleSeconds] = quick ? [200, 5] : [2_000, 30];
    const figures = await benchCatalogue(stage, { form, requests, idleSeconds, say });
    return { text: '', goals: catalogueGoals(figures), data: figures };
  });

  report.missing = field.missing;
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = readOptions(process.argv.slice(2));
    if (process.platform !== 'linux')
      throw new Error('the benchmark reads processor time from /proc: Linux only');
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    return 1;
  }
  const stage = new Stage();
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => stage.close().finally(() => process.exit(code)));
  }
  try {
    await bench(stage, options);
    return 0;
  } catch (error) {
    // After Ctrl-C everything fails because it was stopped; the signal's handler sets the exit code.
    if (!stage.closed) console.error(error);
    return 2;
  } finally {
    await stage.close();
  }
}

if (import.meta.main) process.exit(await main());
