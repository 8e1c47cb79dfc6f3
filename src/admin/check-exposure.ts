/** `flm check` on what can be reached: the short form of `flm security exposure`. */
import type { ExposureReport } from '../listeners';
import type { Check } from './check';

type Verdict = ExposureReport['status'];

export function checkExposed({ listeners, engines, addresses }: ExposureReport): Check[] {
  const doors = listeners
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ id, verdict, advice }) =>
      finding(verdict, `${id} can be reached from elsewhere. ${advice ?? ''}`),
    );
  const open = engines
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ engine, port, verdict, open_at: at, advice }) =>
      finding(
        verdict,
        `${engine} answers at ${at.map(({ address }) => address).join(', ')} port ${port} without FLM in front. ${advice ?? ''}`,
      ),
    );
  const found = [...doors, ...open];
  if (found.length > 0) return found;
  const tried = addresses.length === 1 ? '1 address' : `${addresses.length} addresses`;
  return [
    { name: 'exposure', status: 'ok', message: `no engine answers at the ${tried} other machines may use` },
  ];
}

/** What makes `flm security exposure` fail makes `flm check` fail, too. */
function finding(verdict: Verdict, message: string): Check {
  return { name: 'exposure', status: verdict === 'open' ? 'error' : 'warning', message: message.trimEnd() };
}
