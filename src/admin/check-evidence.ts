/** `flm check` on the evidence: whether the audit chain is whole, and whether requests reach their log. */
import type { ActivityCounters } from '../activity';
import type { AuditApi } from '../audit';
import type { Check } from './check';

export async function checkAudit(audit: Pick<AuditApi, 'verify'>): Promise<Check[]> {
  const { rows, findings } = await audit.verify({});
  if (findings.length === 0) return [finding('audit log', 'ok', `${rows} rows, as they were written`)];
  return findings.map(({ message }) =>
    finding('audit log', 'error', `${message} (flm security audit-logs verify tells more)`),
  );
}

/** `counters` is null while no FLM runs. */
export function checkRequestLog(counters: ActivityCounters | null): Check[] {
  if (counters === null) return [finding('request log', 'ok', 'nothing is written while no FLM runs')];
  const { queued, dropped, written } = counters;
  if (dropped > 0) {
    const message = `${dropped} requests since the start of FLM are not in it: there was no room for them`;
    return [finding('request log', 'warning', message)];
  }
  return [finding('request log', 'ok', `${written} rows since the start of FLM, ${queued} on their way`)];
}

function finding(name: string, status: Check['status'], message: string): Check {
  return { name, status, message };
}
