/** Runs one command line: finds the command, prints its result or its error, and says the exit code. */
import { SERVE, SUPERVISE } from '../src/daemon';
import { createEgress } from '../src/egress';
import { systemClock } from '../src/lib/clock';
import { type FlmError, toFlmError } from '../src/lib/errors';
import { dataDir, type Env, pathsIn } from '../src/lib/paths';
import { redact } from '../src/lib/redact';
import { type Cli, type Format, INTERRUPTED, OUTPUT_VERSION } from './cli';
import { PROGRAM } from './commands';
import { withCrashFile } from './crash';
import { isGroupTarget, renderHelp } from './help';
import { stderrLog } from './log';
import { isReaderGone, type Output, outputFailed, outputTo } from './output';
import { asksForHelp, checkNoArgs, findCommand, runStrict } from './strict';

/** Runs `words` (without the program's name) and resolves with the exit code. Never rejects. */
export async function runCli(words: readonly string[], env: Env): Promise<number> {
  const [first = '', order = ''] = words;
  // Pipes of these two stay open to their end, and must not keep them from it.
  if (first === SUPERVISE) process.exit(await (await import('./daemon/supervise')).supervise(order, env));
  if (first === SERVE) process.exit(await (await import('./daemon/serve')).serveInBackground(order, env));
  let format = formatOf(words, []);
  const interrupted = new AbortController();
  // A kept connection would keep the finished program alive for seconds.
  const egress = createEgress({ clock: systemClock });
  const onSignal = () => interrupted.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const [stdout, stderr] = [outputTo(process.stdout), outputTo(process.stderr)];
  try {
    const exitCode = await run();
    const failure = await stdout.settled();
    return failure === null || isReaderGone(failure)
      ? exitCode
      : report(outputFailed(failure), format, stderr);
  } catch (error) {
    if (interrupted.signal.aborted && isAbort(error, interrupted.signal)) return INTERRUPTED;
    return report(await withCrashFile(toFlmError(error), pathsIn(dataDir(env))), format, stderr);
  } finally {
    // The terminal has written ^C where the shell's prompt would come to stand.
    if (interrupted.signal.aborted && process.stderr.isTTY === true) process.stderr.write('\n');
    egress.close();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }

  async function run(): Promise<number> {
    // `flm help status` is `flm status --help`.
    const found = await findCommand(PROGRAM, words[0] === 'help' ? [...words.slice(1), '--help'] : words);
    const wantsHelp = asksForHelp(found.rawArgs);
    if (isGroupTarget(found.target) && !wantsHelp) checkNoArgs(found);
    if (wantsHelp || isGroupTarget(found.target)) {
      stdout.write(await renderHelp(found.path, found.target));
      return 0;
    }
    // What a command takes by the name of a global option is its own.
    format = formatOf(words, Object.keys(found.target.args));
    let exitCode = 0;
    const cli = createCli(env, format, stdout, stderr, {
      egress,
      interrupted: interrupted.signal,
      fail: (code) => {
        exitCode = code;
      },
    });
    await runStrict(found.target, found.rawArgs, cli);
    return exitCode;
  }
}

/** Whether that is what the interruption itself threw, and not something that went wrong after it. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError');
}

function createCli(
  env: Env,
  format: Format,
  stdout: Output,
  stderr: Output,
  own: Pick<Cli, 'egress' | 'interrupted' | 'fail'>,
): Cli {
  const stdoutIsTty = process.stdout.isTTY === true;
  const stdinIsTty = process.stdin.isTTY === true;
  const decorated = process.stderr.isTTY === true && env.TERM !== 'dumb';
  const log = stderrLog({ clock: systemClock, format, decorated }, () => 'info');
  return {
    env,
    paths: pathsIn(dataDir(env)),
    clock: systemClock,
    ...own,
    format,
    interactive: stdoutIsTty && stdinIsTty,
    watched: stdoutIsTty,
    decorated,
    readStdin: async () => (stdinIsTty ? null : await Bun.stdin.text()),
    write: stdout.write,
    // Beside JSON, stderr holds JSON lines and nothing else (FLM-011).
    note: format === 'json' ? (line) => log.info(line) : (line) => stderr.write(`${line}\n`),
    result(data, text) {
      const out = format === 'json' ? JSON.stringify({ version: OUTPUT_VERSION, data }) : text();
      stdout.write(`${out}\n`);
    },
    delivered: stdout.settled,
  };
}

/** Text on a terminal, JSON in a pipe, unless the words say otherwise. Wrong words are told when the command is checked. */
function formatOf(all: readonly string[], own: readonly string[]): Format {
  const end = all.indexOf('--');
  const words = end === -1 ? all : all.slice(0, end);
  const after = words[words.indexOf('--format') + 1];
  if (words.includes('--format=text') || (words.includes('--format') && after === 'text')) return 'text';
  if (
    (words.includes('--json') && !own.includes('json')) ||
    words.includes('--format=json') ||
    words.includes('--format')
  )
    return 'json';
  return process.stdout.isTTY === true ? 'text' : 'json';
}

function report(error: FlmError, format: Format, stderr: Output): number {
  const { code } = error;
  // A key that was pasted where an id is wanted must not be shown to whoever looks over a shoulder.
  const message = redact(error.message);
  // A bug of the running FLM is in its log, under the id of the request; a bug here is nowhere else.
  const requestId = code === 'INTERNAL_ERROR' ? error.meta.requestId : undefined;
  const own = code === 'INTERNAL_ERROR' && typeof requestId !== 'string';
  const hint =
    own && error.meta.crashFile === undefined
      ? 'FLM_DEBUG=1 in front of the same command shows the details.'
      : error.hint === null
        ? null
        : redact(error.hint);
  if (format === 'json') {
    const id = typeof requestId === 'string' ? { request_id: requestId } : {};
    stderr.write(`${JSON.stringify({ error: { code, message, hint, ...id } })}\n`);
  } else {
    const id = typeof requestId === 'string' ? ` (request ${requestId})` : '';
    stderr.write(`Error: ${message}${id}\n${hint === null ? '' : `${hint}\n`}`);
  }
  // The one place where the insides of a bug may be seen, by its owner.
  if (own && process.env.FLM_DEBUG) console.error(error.cause ?? error);
  return error.exit;
}
