/** `flm security alerts set` */
import { FlmError } from '../../../src/lib/errors';
import { ALERT_EVENTS, ALERT_SEVERITIES, type AlertRuleInput } from '../../../src/telemetry';
import { withBackend } from '../../backend';
import { wordOf } from '../../choice';
import { command } from '../../command';
import { inFlags } from '../../flag-names';
import { wholeNumber } from '../../numbers';
import { rulesText } from './text';

export default command({
  about: 'Make a rule, or change one: what you leave out of an old one stays.',
  args: {
    id: { type: 'positional', required: true, description: 'Its name.' },
    'event-type': {
      type: 'string',
      valueHint: 'TYPE',
      description: `What it is about: ${ALERT_EVENTS.join(', ')}.`,
    },
    severity: {
      type: 'string',
      valueHint: ALERT_SEVERITIES.join('|'),
      description: 'From which severity it fires; with a threshold, how severe the alert is.',
    },
    threshold: {
      type: 'string',
      valueHint: 'N|none',
      description: 'From which score (intrusion, anomaly) or how many events a minute it fires.',
    },
    target: {
      type: 'string',
      valueHint: 'ID',
      description: 'Where to tell (repeatable). Default: log.',
    },
    off: { type: 'boolean', description: 'Keep it, and tell nobody.' },
    on: { type: 'boolean', description: 'Use it again.' },
  },
  repeatable: ['target'],
  examples: [
    'flm security alerts set bans --event-type ban --severity low --target ops',
    'flm security alerts set guessing --event-type auth_failure --severity high --threshold 100 --target ops --target log',
    'flm security alerts set anomaly-critical --off',
  ],
  async run({ cli, args, all }) {
    if (args.on === true && args.off === true)
      throw new FlmError('USAGE_ERROR', { meta: { reason: 'Say --on or --off, not both' } });
    const targets = all('target');
    const input: AlertRuleInput = {
      ...(args['event-type'] === undefined
        ? {}
        : { event_type: wordOf('event-type', args['event-type'], ALERT_EVENTS) }),
      ...(args.severity === undefined
        ? {}
        : { severity: wordOf('severity', args.severity, ALERT_SEVERITIES) }),
      ...(args.threshold === undefined ? {} : { threshold: thresholdIn(args.threshold) }),
      ...(targets.length === 0 ? {} : { targets: [...targets] }),
      ...(args.on === true ? { enabled: true } : args.off === true ? { enabled: false } : {}),
    };
    const rule = await withBackend(cli, (backend) =>
      inFlags(FLAGS, () => backend.alerts.setRule(args.id, input)),
    );
    cli.result(rule, () => rulesText([rule]));
  },
});

/** What the admin API calls its options. */
const FLAGS = {
  event_type: '--event-type',
  severity: '--severity',
  threshold: '--threshold',
  targets: '--target',
} as const;

function thresholdIn(text: string): number | null {
  return text === 'none' ? null : wholeNumber('threshold', text, { min: 1, max: 1_000_000 });
}
