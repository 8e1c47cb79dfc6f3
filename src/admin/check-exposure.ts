/** `flm check` on what can be reached: the short form of `flm security exposure`. */
import type { ExposureReport } from '../listeners';
import type { Check } from './check';

export function checkExposed({ listeners, engines, addresses }: ExposureReport): Check[] {
  const doors = listeners
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ id, advice }) => finding(`${id} can be reached from elsewhere. ${advice ?? ''}`));
  const open = engines
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ engine, port, open_at: at, advice }) =>
      finding(
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

function finding(message: string): Check {
  return { name: 'exposure', status: 'warning', message: message.trimEnd() };
}
