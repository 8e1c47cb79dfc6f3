/** What an alert says: a sentence for people, and fields for programs. */
import { maskIp } from '../../lib/ip';
import type { Alert } from './episodes';
import type { AlertEvent, AlertMessage, AlertSeverity } from './model';

export interface MessageOptions {
  /** Whether addresses of clients are told whole. */
  readonly fullIps: boolean;
  /** The name of this machine: somebody may have several. */
  readonly host: string;
  /** Wall time of a reading of the monotonic clock. */
  readonly timeOf: (monotonicMs: number) => string;
}

const WHAT: Readonly<Record<AlertEvent, string>> = {
  intrusion: 'Somebody tries to break in',
  anomaly: 'Somebody behaves like no client',
  rate_limit: 'Requests are refused because of a limit',
  api_error: 'An engine is out of order',
  ban: 'An address was banned',
  auth_failure: 'Somebody is refused again and again',
  policy: 'The security policy was changed',
  resource: 'The machine is at its limit',
};

export function messageOf(alert: Alert, { fullIps, host, timeOf }: MessageOptions): AlertMessage {
  const { state, alertId, rule, occurrence, subject, sources, count, firstMs, lastMs } = alert;
  const { event, pattern, score, requestId, isAddress } = occurrence;
  const about = subject === null ? null : isAddress && !fullIps ? maskNetwork(subject) : subject;
  return {
    type: `alert.${state}`,
    timestamp: timeOf(state === 'firing' ? firstMs : lastMs),
    data: {
      message: sentence(alert, about),
      alert_id: alertId,
      rule: rule.id,
      event_type: event,
      severity: severityOf(alert),
      state,
      subject: about,
      sources,
      count,
      threshold: rule.threshold,
      score,
      pattern,
      request_id: requestId,
      first_at: timeOf(firstMs),
      last_at: timeOf(lastMs),
      host,
    },
  };
}

/** A threshold makes an event as severe as its rule says; else it is as severe as the room found it. */
function severityOf({ rule, occurrence }: Alert): AlertSeverity {
  return rule.threshold === null ? occurrence.severity : rule.severity;
}

function sentence({ state, occurrence, count, sources }: Alert, about: string | null): string {
  const { event, pattern, score } = occurrence;
  const who = about ?? `${sources} others`;
  const points = score === null ? '' : `, score ${Math.round(score)}`;
  const times = count === 1 ? '' : `, ${count} times`;
  const said = `${WHAT[event]}: ${who} (${pattern}${points}${times})`;
  if (state === 'resolved') return `It is over. ${said}.`;
  return state === 'ongoing' ? `It goes on. ${said}.` : `${said}.`;
}

export function testMessage(host: string, at: string): AlertMessage {
  const message = 'This is a test of FLM’s alerts. Nothing has happened.';
  return { type: 'alert.test', timestamp: at, data: { message, host } };
}

/** `203.0.113.***`; a network keeps its length. */
function maskNetwork(network: string): string {
  const [ip = '', length] = network.split('/');
  return length === undefined ? maskIp(ip) : `${maskIp(ip)}/${length}`;
}
