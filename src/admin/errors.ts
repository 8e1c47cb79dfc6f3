/** Errors of the admin API: `{"error": {code, message, hint, request_id}}` (design §3). */
import type { ErrorHandler } from 'elysia';
import { FlmError, toFlmError } from '../lib/errors';
import { invalidField } from '../lib/validate';

export interface AdminErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
    readonly request_id: string;
  };
}

/** The answer to a request that failed. */
export function adminError(error: FlmError, requestId: string): Response {
  const { code, message, hint, status } = error;
  const body: AdminErrorBody = { error: { code, message, hint, request_id: requestId } };
  return Response.json(body, { status });
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
