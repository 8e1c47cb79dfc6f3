/** An engine's error: whose doing it is, and what it says. Engines put a status, a type or a code into it, or nothing at all. */
import { isRecord } from '../../lib/json';
import type { Fault, ToldError } from './dialect';

const BUSY = new Set(['rate_limit_error', 'rate_limit_exceeded']);
const REQUEST = new Set(['invalid_request_error', 'not_found_error', 'request_too_large', 'invalid_prompt']);

/** Whose doing `error` is. What it does not say is taken for the engine's. */
export function faultIn(error: unknown): Fault {
  if (!isRecord(error)) return 'engine';
  const status = Number(error.code ?? error.status);
  if (status === 429) return 'busy';
  if (status >= 400 && status < 600) return status < 500 ? 'request' : 'engine';
  const names = [error.type, error.code].map(String);
  if (names.some((name) => BUSY.has(name))) return 'busy';
  return names.some((name) => REQUEST.has(name)) ? 'request' : 'engine';
}

/** Whether a member `error` holds one: an object, or a text as vLLM's 401 has it. */
export function isFilled(error: unknown): boolean {
  return isRecord(error) || (typeof error === 'string' && error !== '');
}

/** What an engine said in an answer with the status of an error; `json` is its body. */
export function errorSaid(json: unknown, status: number): ToldError {
  const body = isRecord(json) ? json : {};
  // Older vLLM has no envelope around it; Ollama and vLLM's 401 have a text and nothing else.
  const error = isRecord(body.error) ? body.error : body.object === 'error' ? body : { message: body.error };
  const { code } = error;
  return {
    message: textOf(error.message) ?? `The engine answered ${status} and no stream.`,
    hint: null,
    status,
    type: textOf(error.type),
    param: textOf(error.param),
    wireCode: typeof code === 'number' ? code : textOf(code),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
