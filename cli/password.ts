/** Where the command line has passwords from. */
import { password as askPassword, isCancel } from '@clack/prompts';
import { FlmError } from '../src/lib/errors';
import type { Cli } from './cli';

/**
 * From the environment variable `variable`, from stdin, or asked for. Never from an argument: other users of this machine can
 * read those.
 * @throws INVALID_INPUT when there is none, or it is empty and may not be
 */
export async function readPassword(
  cli: Cli,
  variable: string | undefined,
  { mayBeEmpty = false } = {},
): Promise<string> {
  if (variable !== undefined) {
    const value = cli.env[variable];
    if (value || (mayBeEmpty && value === '')) return value;
    throw invalid('--password-env', `the environment variable ${variable} is not set`);
  }
  const piped = (await cli.readStdin())?.replace(/\r?\n$/, '') ?? null;
  if (piped !== null && piped !== '') return piped;
  if (!cli.interactive)
    throw invalid('password', 'give it on stdin, or name its variable with --password-env');
  const typed = await askPassword({ message: 'Password:', signal: cli.interrupted });
  if (isCancel(typed)) throw invalid('password', 'none was given');
  if (typed || mayBeEmpty) return typed;
  throw invalid('password', 'it is empty');
}

function invalid(field: string, reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field, reason } });
}
