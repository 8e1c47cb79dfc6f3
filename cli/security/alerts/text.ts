/** Alerts, as a person reads them. */
import type { AlertDelivery, AlertRule, AlertTarget, AlertTestReport } from '../../../src/telemetry';
import { table } from '../../table';
import { localTime } from '../../time';
import { count } from '../../words';

export function rulesText(rules: readonly AlertRule[]): string {
  return table(
    ['RULE', 'EVENT', 'SEVERITY', 'FROM', 'TARGETS', 'STATE'],
    rules.map(({ id, event_type: event, severity, threshold, targets, enabled }) => [
      id,
      event,
      severity,
      threshold === null ? '-' : String(threshold),
      targets.join(' ') || '-',
      enabled ? 'on' : 'off',
    ]),
    'There are no rules. Make one: flm security alerts set bans --event-type ban --severity low',
  );
}

export function targetsText(targets: readonly AlertTarget[]): string {
  return table(
    ['TARGET', 'KIND', 'STATE', 'URL'],
    targets.map(({ id, kind, enabled, url }) => [id, kind, enabled ? 'on' : 'gone', url ?? '-']),
    'There are no targets.',
  );
}

export function deliveriesText(deliveries: readonly AlertDelivery[]): string {
  const rows = deliveries.map(({ created_at: at, target, state, attempts, message, last_error: error }) => ({
    cells: [localTime(at), target, state, String(attempts), message],
    below: error,
  }));
  return table(['TIME', 'TARGET', 'STATE', 'TRIES', 'MESSAGE'], rows, 'Nothing was sent.');
}

export function testText(items: AlertTestReport['items']): string {
  const lines = items.map(({ target, ok, status, error, duration_ms: ms }) => {
    if (!ok) return `✗ ${target}: ${error ?? 'it failed'} (${ms} ms)`;
    return status === null
      ? `✓ ${target}: it is in the log.`
      : `✓ ${target}: it answered ${status} (${ms} ms)`;
  });
  const failed = items.filter(({ ok }) => !ok).length;
  return failed === 0 ? lines.join('\n') : `${lines.join('\n')}\n${count(failed, 'target')} did not take it.`;
}
