/** How a new key is shown to a person. */
import type { ApiKey, CreatedKey } from '../../src/admission';
import { lengthText } from '../duration';
import { printable } from '../table';
import { localTime } from '../time';

export function keyText(key: CreatedKey): string {
  const { id, label, plain_key: plainKey, expires_at: expiresAt } = key;
  return [
    plainKey,
    '',
    `Key ${id} for "${printable(label)}"${expiresAt === null ? '' : `, good until ${localTime(expiresAt)}`}.`,
    ...termsText({ ...key, is_uncollected: false }).map((line) => `  ${line}`),
    'Keep it now: it is not shown again.',
  ].join('\n');
}

/** What is laid down for a key, a line each; none where nothing is. */
export function termsText(key: Omit<CreatedKey, 'plain_key'> & Pick<ApiKey, 'is_uncollected'>): string[] {
  const { requests_per_minute: rpm, burst, tokens_per_minute: tpm, parallel_requests: parallel } = key;
  const most = (count: number | null, what: string) =>
    count === null ? [] : [count === 0 ? `no limit of ${what}` : `${count} ${what}`];
  const limits = [
    ...most(rpm, rpm === 1 ? 'request a minute' : 'requests a minute').map((text) =>
      burst === null ? text : `${text}, ${burst} at once`,
    ),
    ...most(tpm, tpm === 1 ? 'token a minute' : 'tokens a minute'),
    ...most(parallel, 'at a time'),
  ];
  const { rotate_every_s: every, rotate_grace_s: grace } = key;
  return [
    ...(key.models === null ? [] : [`only ${key.models.join(', ')}`]),
    ...(key.cidrs === null ? [] : [`only from ${key.cidrs.join(', ')}`]),
    ...(key.origins === null ? [] : [`only for ${key.origins.join(', ')}`]),
    ...(key.client_certificates === null
      ? []
      : [`only with certificate ${key.client_certificates.map((id) => `${id.slice(0, 16)}…`).join(', ')}`]),
    ...(limits.length === 0 ? [] : [limits.join('; ')]),
    ...(every === null
      ? []
      : [`replaced every ${lengthText(every)}, the old one works ${lengthText(grace ?? 0)} longer`]),
    ...(key.is_uncollected ? [`nobody has fetched it: flm api-keys collect ${key.id}`] : []),
  ];
}
