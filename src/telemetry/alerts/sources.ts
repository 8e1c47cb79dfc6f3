/** What the rooms say on the bus, as occurrences that rules can be held against. Nothing of a client's text is in them. */
import type { Bus } from '../../lib/bus';
import { redact } from '../../lib/redact';
import type { AlertEvent, AlertSeverity } from './model';

export interface Occurrence {
  readonly event: AlertEvent;
  readonly severity: AlertSeverity;
  /** Whom or what it is about: what has the same subject is one alert. */
  readonly subject: string;
  /** Whether the subject is an address or network of a client, which may have to be masked. */
  readonly isAddress: boolean;
  /** What a threshold is compared with; null: how many there were in a minute. */
  readonly score: number | null;
  /** `sql_injection`, `error-network`: a word of FLM's own. */
  readonly pattern: string;
  readonly requestId: string | null;
}

export interface OccurrenceSink {
  /** Whether any rule is about that: what nobody wants to know costs nothing. */
  wants(event: AlertEvent): boolean;
  note(occurrence: Occurrence): void;
  /** What was wrong with the subject is over. */
  recover(event: AlertEvent, subject: string): void;
}

/** Listens until the returned function is called. */
export function listenTo(bus: Bus, { wants, note, recover }: OccurrenceSink): () => void {
  const stops = [
    bus.subscribe('security.signal', ({ kind, severity, ip, total, pattern, requestId }) => {
      // A honeypot is where only intruders look (FLM-116).
      const event = kind === 'honeypot' ? 'intrusion' : kind;
      if (!wants(event)) return;
      const isAddress = event !== 'resource';
      note({
        event,
        severity,
        subject: isAddress ? ip : pattern,
        isAddress,
        score: total,
        pattern: word(pattern),
        requestId,
      });
    }),

    bus.subscribe('security.ban', ({ network, state, isAutomatic, reason }) => {
      if (state === 'lifted') return recover('ban', network);
      if (!wants('ban')) return;
      note({
        event: 'ban',
        severity: isAutomatic ? 'high' : 'medium',
        subject: network,
        isAddress: true,
        score: null,
        pattern: word(reason),
        requestId: null,
      });
    }),

    bus.subscribe('limit.exceeded', ({ limit, unit, subject, requestId }) => {
      if (!wants('rate_limit')) return;
      note({
        event: 'rate_limit',
        severity: limit === 'global' ? 'high' : limit === 'key' ? 'medium' : 'low',
        subject: limit === 'global' ? 'all clients' : subject.replace(/^ip:/, ''),
        isAddress: limit === 'address',
        score: null,
        pattern: `${limit}_${unit}`,
        requestId,
      });
    }),

    bus.subscribe('auth.refused', ({ ip, reason, requestId }) => {
      if (!wants('auth_failure')) return;
      note({
        event: 'auth_failure',
        severity: 'low',
        subject: ip,
        isAddress: true,
        score: null,
        pattern: reason,
        requestId,
      });
    }),

    bus.subscribe('policy.changed', ({ version }) => {
      if (!wants('policy')) return;
      note({
        event: 'policy',
        severity: 'medium',
        subject: 'policy',
        isAddress: false,
        score: null,
        pattern: `version_${version}`,
        requestId: null,
      });
    }),

    bus.subscribe('engine.changed', ({ engineId, status }) => {
      if (status.startsWith('running-') || status === 'installed-only')
        return recover('api_error', `engine:${engineId}`);
      if (!wants('api_error')) return;
      note({
        event: 'api_error',
        severity: status === 'needs-key' ? 'medium' : 'high',
        subject: `engine:${engineId}`,
        isAddress: false,
        score: null,
        pattern: status,
        requestId: null,
      });
    }),

    bus.subscribe('engine.removed', ({ engineId }) => recover('api_error', `engine:${engineId}`)),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** The longest word of a detector, or reason of an owner, that is passed on. */
const MAX_WORD = 100;

function word(text: string): string {
  return redact(text).slice(0, MAX_WORD);
}
