/** Where the policy of a command comes from: `--json`, `--file` or stdin, exactly one of them (FLM-024). */
import { readFileSync } from 'node:fs';
import type { ArgsDef } from 'citty';
import { FlmError, reasonOf } from '../../../src/lib/errors';
import { isRecord } from '../../../src/lib/json';
import type { PolicyInput } from '../../../src/policy';
import type { Cli } from '../../cli';

export const SOURCE_ARGS = {
  from: {
    type: 'positional',
    required: false,
    description: 'Where it comes from: - or default, when it is piped in.',
  },
  json: { type: 'string', valueHint: 'policy', description: 'The policy itself, or a file that holds it.' },
  file: {
    type: 'string',
    valueHint: 'path',
    description: 'A file that holds the policy; - for what is piped in.',
  },
} as const satisfies ArgsDef;

interface Given {
  readonly from?: string | undefined;
  readonly json?: string | undefined;
  readonly file?: string | undefined;
}

export type Document = PolicyInput['document'];

/** Whether the words name a place to read from. */
export function isGiven({ from, json, file }: Given): boolean {
  return from !== undefined || json !== undefined || file !== undefined;
}

/** @throws USAGE_ERROR unless exactly one place is given; INVALID_INPUT when it cannot be read or holds no JSON object */
export async function documentFrom(cli: Cli, { from, json, file }: Given): Promise<Document> {
  // "set default" names the policy, as other programs do; what it is to be comes from somewhere all the same.
  if (from !== undefined && from !== '-' && from !== 'default')
    throw usage(`There is no policy "${from}"`, `To read it from a file: --file ${from}`);
  const piped = from === '-' || (from === 'default' && json === undefined && file === undefined);
  const places = [piped, json !== undefined, file !== undefined].filter(Boolean).length;
  if (places !== 1)
    throw usage(
      places === 0 ? 'There is no policy to read' : 'A policy comes from one place, and there are more',
      'Give it as --json, as --file, or pipe it in and say -.',
    );
  if (json !== undefined)
    return json.trimStart().startsWith('{') ? parse('--json', json) : parse(json, readText(json));
  if (file !== undefined && file !== '-') return parse(file, readText(file));
  const text = await cli.readStdin();
  if (text === null)
    throw usage('Nothing is piped in', 'For instance: flm security policy set - < policy.json');
  return parse('stdin', text);
}

/** @throws INVALID_INPUT naming `where` */
export function parse(where: string, text: string): Document {
  let document: unknown;
  try {
    document = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new FlmError('INVALID_INPUT', {
      meta: { field: where, reason: `it is no JSON (${reasonOf(error)})` },
      cause: error,
    });
  }
  if (isRecord(document)) return document;
  throw new FlmError('INVALID_INPUT', { meta: { field: where, reason: 'a policy is a JSON object {…}' } });
}

/** @throws INVALID_INPUT */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new FlmError('INVALID_INPUT', {
      meta: { field: path, reason: `it cannot be read (${reasonOf(error)})` },
      cause: error,
    });
  }
}

function usage(reason: string, hint: string): FlmError {
  return new FlmError('USAGE_ERROR', { meta: { reason }, hint });
}
