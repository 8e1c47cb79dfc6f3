/** Where a key stands with its limits, in the headers of its answers: OpenAI's, and those of FLM-084. */
import type { Allowance, Quota } from '../contract';

/** Writes the headers; `nowMs` is wall time. */
export function showQuota(headers: Headers, { requests, tokens }: Quota, nowMs: number): void {
  if (requests !== null) {
    show(headers, 'requests', requests);
    headers.set('x-ratelimit-limit', String(requests.burst));
    headers.set('x-ratelimit-remaining', String(requests.remaining));
    headers.set('x-ratelimit-reset', String(Math.ceil((nowMs + requests.resetMs) / 1_000)));
  }
  if (tokens !== null) show(headers, 'tokens', tokens);
}

function show(headers: Headers, unit: string, { perMinute, remaining, resetMs }: Allowance): void {
  headers.set(`x-ratelimit-limit-${unit}`, String(perMinute));
  headers.set(`x-ratelimit-remaining-${unit}`, String(remaining));
  headers.set(`x-ratelimit-reset-${unit}`, durationOf(resetMs));
}

/** As OpenAI writes it: `120ms`, `8.64s`, `6m0s`, `1h0m30s`. */
export function durationOf(ms: number): string {
  if (ms < 1_000) return ms === 0 ? '0s' : `${ms}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = `${(ms % 60_000) / 1_000}s`;
  if (minutes === 0) return seconds;
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}
