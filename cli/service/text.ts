/** A service in words. */
import type { ServiceState } from './manager';

export function serviceText({ manager, scope, path, installed, enabled, active }: ServiceState): string {
  if (!installed) return `FLM is no ${scope} service of ${manager}. Make it one with: flm service install`;
  const runs = active ? 'runs' : 'does not run';
  const starts = enabled
    ? `is started with ${scope === 'system' ? 'the machine' : 'your session'}`
    : 'is not started by itself';
  return `FLM is a ${scope} service of ${manager}, ${runs}, and ${starts} (${path}).`;
}
