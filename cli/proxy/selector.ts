/** Which proxies a command is about: `--port`, `--id` or `--all`, exactly one of them (FLM-019). */
import { FlmError } from '../../src/lib/errors';
import type { ProxySelector } from '../../src/listeners';

export const SELECTOR_ARGS = {
  port: { type: 'string', valueHint: 'N', description: 'The proxy on this port.' },
  id: { type: 'string', valueHint: 'ID', description: 'The proxy with this id, such as proxy-8080.' },
  all: { type: 'boolean', description: 'All proxies.' },
} as const;

interface Given {
  readonly port?: string | undefined;
  readonly id?: string | undefined;
  readonly all?: boolean | undefined;
}

/** @throws USAGE_ERROR, INVALID_INPUT */
export function selectorOf({ port, id, all }: Given): ProxySelector {
  const given = [port !== undefined, id !== undefined, all === true].filter(Boolean).length;
  if (given !== 1)
    throw new FlmError('USAGE_ERROR', {
      meta: { reason: 'Say which proxy: one of --port, --id and --all' },
      hint: '"flm proxy status" shows all proxies.',
    });
  if (all === true) return { all: true };
  return id === undefined ? { port: parsePort(port ?? '') } : { id };
}

/** @throws INVALID_INPUT */
export function parsePort(text: string, field = '--port'): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new FlmError('INVALID_INPUT', {
    meta: { field, reason: 'it takes a whole number from 1 to 65535' },
  });
}
