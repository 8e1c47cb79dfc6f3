/** What a bug of an FLM that serves leaves behind. */
import type { App } from '../src/app';
import { type CrashHandler, installCrashHandler } from '../src/telemetry';
import { VERSION } from '../src/version';
import type { Cli } from './cli';

/** From here on what nobody catches leaves a crash file and ends the process, so that whoever looks after it starts it again. */
export function guardAgainstCrashes(
  app: App,
  { paths, clock, lastWords }: Pick<Cli, 'paths' | 'clock'> & { lastWords?(): void },
): CrashHandler {
  return installCrashHandler({
    crashDir: paths.crashDir,
    version: VERSION,
    clock,
    log: app.log,
    facts: () => ({ ...app.open() }),
    exit(code) {
      lastWords?.();
      process.exit(code);
    },
  });
}
