/** Runs one command line: finds the command, prints its result or its error, and says the exit code. */

import { systemClock } from '../src/lib/clock';
import { FlmError, toFlmError } from '../src/lib/errors';
import { dataDir, type Env, pathsIn } from '../src/lib/paths';
import { type Cli, type Format, OUTPUT_VERSION } from './cli';
import { PROGRAM } from './commands';
import { isGroupTarget, renderHelp } from './help';
import { asksForHelp, findCommand, runStrict } from './strict';

/** Exit code of a command that Ctrl-C ended (128 + SIGINT). */
const INTERRUPTED = 130;

/** Runs `words` (without the program's name) and resolves with the exit code. Never rejects. */
export async function runCli(words: readonly string[], env: Env): Promise<number> {
  const format = formatOf(words);
  const interrupted = new AbortController();
  const onSignal = () => interrupted.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    const found = await findCommand(PROGRAM, words);
    if (asksForHelp(found.rawArgs) || isGroupTarget(found.target)) {
      process.stdout.write(await renderHelp(found.path, found.target));
      return 0;
    }
    let exitCode = 0;
    const cli = createCli(env, format, interrupted.signal, (code) => {
      exitCode = code;
    });
    await runStrict(found.target, found.rawArgs, cli);
    return exitCode;
  } catch (error) {
    if (interrupted.signal.aborted && !(error instanceof FlmError)) return INTERRUPTED;
    return report(toFlmError(error), format);
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

function createCli(env: Env, format: Format, interrupted: AbortSignal, fail: Cli['fail']): Cli {
  const stdoutIsTty = process.stdout.isTTY === true;
  const stdinIsTty = process.stdin.isTTY === true;
  return {
    env,
    paths: pathsIn(dataDir(env)),
    clock: systemClock,
    format,
    interactive: stdoutIsTty && stdinIsTty,
    decorated: process.stderr.isTTY === true && env.TERM !== 'dumb',
    readStdin: async () => (stdinIsTty ? null : await Bun.stdin.text()),
    write: (text) => void process.stdout.write(text),
    note: (line) => void process.stderr.write(`${line}\n`),
    result(data, text) {
      const out = format === 'json' ? JSON.stringify({ version: OUTPUT_VERSION, data }) : text();
      process.stdout.write(`${out}\n`);
    },
    fail,
    interrupted,
  };
}

/** Text on a terminal, JSON in a pipe, unless the words say otherwise. Wrong words are told when the command is checked. */
function formatOf(words: readonly string[]): Format {
  const after = words[words.indexOf('--format') + 1];
  if (words.includes('--format=text') || (words.includes('--format') && after === 'text')) return 'text';
  if (words.includes('--json') || words.includes('--format=json') || words.includes('--format'))
    return 'json';
  return process.stdout.isTTY === true ? 'text' : 'json';
}

function report(error: FlmError, format: Format): number {
  const { code, message, hint } = error;
  if (format === 'json') {
    process.stderr.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
  } else {
    process.stderr.write(`Error: ${message}\n${hint === null ? '' : `${hint}\n`}`);
  }
  // The one place where the insides of a bug may be seen, by its owner.
  if (code === 'INTERNAL_ERROR' && process.env.FLM_DEBUG) console.error(error.cause ?? error);
  return error.exit;
}
