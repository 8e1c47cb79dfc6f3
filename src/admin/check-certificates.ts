/** `flm check` on certificates: what ends soon, and what the root may not vouch for. */
import type { Certs } from '../../certs';
import type { Check } from './check';

export async function checkCertificates(certs: Pick<Certs, 'findings' | 'expiries'>): Promise<Check[]> {
  const findings = certs.findings();
  if (findings.length > 0)
    return findings.map(({ level, message }) => ({ name: 'certificates', status: level, message }));
  const [next] = certs.expiries().toSorted((a, b) => a.notAfterMs - b.notAfterMs);
  const message =
    next === undefined ? 'none yet' : `the first to end: ${next.domain}, ${dayOf(next.notAfterMs)}`;
  return [{ name: 'certificates', status: 'ok', message }];
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
