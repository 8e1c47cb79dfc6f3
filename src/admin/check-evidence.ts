/** `flm check` on the evidence: whether the audit chain and the policy are whole, and whether requests reach their log. */
import type { ActivityCounters } from '../activity';
import type { AuditApi } from '../audit';
import type { Policies } from '../policy';
import type { Check } from './check';

export async function checkAudit(audit: Pick<AuditApi, 'verify'>): Promise<Check[]> {
  const { rows, findings } = await audit.verify({});
  if (findings.length === 0) return [finding('audit log', 'ok', `${rows} rows, as they were written`)];
  return findings.map(({ message }) =>
    finding('audit log', 'error', `${message} (flm security audit-logs verify tells more)`),
  );
}

export async function checkPolicy(policy: Pick<Policies, 'examine'>): Promise<Check[]> {
  const { version, trouble, versions, altered } = await policy.examine();
  if (version === null)
    return [
      finding(
        'security policy',
        'error',
        `${trouble}, so nobody is let in: flm security policy history, then flm security policy rollback N`,
      ),
    ];
  if (altered.length === 0) return [finding('security policy', 'ok', `version ${version} of ${versions}`)];
  const message = `version ${version} is in force, but earlier ones are not as they were written, or the one before them is gone: ${altered.join(', ')}`;
  return [finding('security policy', 'warning', message)];
}

/** Bans that shut out so much of the world that it was probably not meant. Nothing to say where there are none. */
export function checkBans(wide: readonly string[]): Check[] {
  return wide.map((network) =>
    finding(
      'bans',
      'warning',
      `all of ${network} is banned, also with a valid key: flm security ip-blocklist unblock ${network}`,
    ),
  );
}

/** `counters` is null while no FLM runs. */
export function checkRequestLog(counters: ActivityCounters | null): Check[] {
  if (counters === null) return [finding('request log', 'ok', 'nothing is written while no FLM runs')];
  const { queued, dropped, written } = counters;
  if (dropped > 0) {
    const message = `requests since the start of FLM that are not in it, because there was no room: ${dropped}`;
    return [finding('request log', 'warning', message)];
  }
  return [finding('request log', 'ok', `${written} rows since the start of FLM, ${queued} on their way`)];
}

function finding(name: string, status: Check['status'], message: string): Check {
  return { name, status, message };
}
