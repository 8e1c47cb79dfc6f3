/** What a bug of a command leaves behind. */
import { existsSync } from 'node:fs';
import { systemClock } from '../src/lib/clock';
import { FlmError } from '../src/lib/errors';
import type { Paths } from '../src/lib/paths';
import { VERSION } from '../src/version';

/**
 * The error as it is told. A bug of this command goes into a crash file that the hint names, where FLM has a data directory;
 * one of the running FLM is in its log, and any other error is nobody's bug.
 */
export async function withCrashFile(
  error: FlmError,
  { dir, crashDir }: Pick<Paths, 'dir' | 'crashDir'>,
): Promise<FlmError> {
  const isOwn = error.code === 'INTERNAL_ERROR' && typeof error.meta.requestId !== 'string';
  if (!isOwn || !existsSync(dir)) return error;
  const { writeCrashFile } = await import('../src/telemetry');
  const options = { crashDir, version: VERSION, clock: systemClock, facts: () => ({}) };
  const cause = error.cause ?? error;
  const crashFile = writeCrashFile(options, 'command', cause);
  if (crashFile === null) return error;
  const hint = `${crashFile} says where. FLM_DEBUG=1 in front of the same command shows it here.`;
  return new FlmError('INTERNAL_ERROR', { cause, hint, meta: { crashFile } });
}
