/** Every detector, one line each (FLM-113, FLM-114, FLM-116). Its name here is its pattern in records and answers. */
import type { Facts, Recent } from '../facts';
import type { Detector } from './detector';
import { emptyUserAgent } from './empty-user-agent';
import { honeypotAccess } from './honeypot-access';
import { largeBody } from './large-body';
import { oddHeaders } from './odd-headers';
import { oddPath } from './odd-path';
import { pathTraversal } from './path-traversal';
import { requestRate } from './request-rate';
import { scriptInjection } from './script-injection';
import { sqlInjection } from './sql-injection';
import { strangePaths } from './strange-paths';
import { suspiciousUserAgent } from './suspicious-user-agent';
import { unusualMethod } from './unusual-method';

export const DETECTORS = {
  sql_injection: sqlInjection,
  path_traversal: pathTraversal,
  script_injection: scriptInjection,
  suspicious_user_agent: suspiciousUserAgent,
  empty_user_agent: emptyUserAgent,
  unusual_method: unusualMethod,
  honeypot_access: honeypotAccess,
  unknown_paths: strangePaths,
  request_rate: requestRate,
  large_body: largeBody,
  odd_path: oddPath,
  odd_headers: oddHeaders,
} as const satisfies Record<string, Detector>;

export type Pattern = keyof typeof DETECTORS;
export const PATTERNS = Object.keys(DETECTORS) as Pattern[];

export interface Signal {
  readonly pattern: Pattern;
  readonly score: number;
}

/** What a request counts, by every detector that sees something. */
export function detect(facts: Facts, recent: Recent): Signal[] {
  const signals: Signal[] = [];
  for (const pattern of PATTERNS) {
    const score = DETECTORS[pattern].score(facts, recent);
    if (score > 0) signals.push({ pattern, score });
  }
  return signals;
}
