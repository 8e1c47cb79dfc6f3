/** Errors of the admin API: `{"error": {code, message, hint, request_id}}` (design §3). */
import { Type } from '@sinclair/typebox';
import type { ErrorHandler } from 'elysia';
import { FlmError, toFlmError } from '../lib/errors';
import type { Log } from '../lib/log';
import { nullable } from '../lib/schema';
import { invalidField } from '../lib/validate';

export const AdminErrorBody = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ description: 'From the list in docs/errors.md. Stable.' }),
      message: Type.String(),
      hint: nullable(Type.String({ description: 'What to do about it.' })),
      request_id: Type.String(),
    }),
  },
  { description: 'What went wrong.' },
);

/** The answer to a request that failed. */
export function adminError(thrown: unknown, requestId: string, log: Log): Response {
  const error = toFlmError(thrown);
  // What the owner asked for in vain is told to the owner; the log gets what FLM itself did wrong.
  if (error.exit === 2) log.error('an admin request failed', { requestId, error });
  const { code, message, hint, status, meta } = error;
  const headers = new Headers();
  if (typeof meta.allow === 'string') headers.set('allow', meta.allow);
  if (typeof meta.retryAfterSeconds === 'number') headers.set('retry-after', String(meta.retryAfterSeconds));
  if (status === 401) headers.set('www-authenticate', 'Bearer');
  return Response.json({ error: { code, message, hint, request_id: requestId } }, { status, headers });
}

type Thrown = Pick<Parameters<ErrorHandler>[0], 'code' | 'error' | 'request'>;

/** What Elysia caught, as an entry of the catalogue. */
export function fromElysia({ code, error, request }: Thrown): FlmError {
  if (error instanceof FlmError) return error;
  // What a hook of the parsing throws comes back as the cause of a parse error.
  if (error instanceof Error && error.cause instanceof FlmError) return error.cause;
  const { pathname: path } = new URL(request.url);
  switch (code) {
    case 'NOT_FOUND':
      return new FlmError('NOT_FOUND', { meta: { path } });
    case 'PARSE':
      return new FlmError('INVALID_JSON', { meta: { reason: 'it cannot be parsed' } });
    case 'VALIDATION':
      return invalidInput(error);
    default:
      return toFlmError(error);
  }
}

/** Elysia's validation error names the field in `valueError`; an answer of ours that breaks its schema is our bug. */
function invalidInput(error: unknown): FlmError {
  const details = error as {
    type?: unknown;
    valueError?: { path?: unknown; message?: unknown; schema?: unknown };
  };
  if (details.type === 'response') return new FlmError('INTERNAL_ERROR', { cause: error });
  const { path, message, schema } = details.valueError ?? {};
  return invalidField({
    path: typeof path === 'string' ? path : '',
    message: typeof message === 'string' ? message : 'it is not valid',
    schema,
  });
}
