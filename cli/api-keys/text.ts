/** How a new key is shown to a person. */
import type { ApiKey, CreatedKey } from '../../src/admission';
import { lengthText } from '../duration';
import { printable } from '../table';
import { localTime } from '../time';

export function keyText({ id, label, plain_key: plainKey, expires_at: expiresAt }: CreatedKey): string {
  return [
    plainKey,
    '',
    `Key ${id} for "${printable(label)}"${expiresAt === null ? '' : `, good until ${localTime(expiresAt)}`}.`,
    'Keep it now: it is not shown again.',
  ].join('\n');
}

/** What is laid down for a key, a line each; none where nothing is. */
export function termsText(key: ApiKey): string[] {
  const { requests_per_minute: rpm, burst, tokens_per_minute: tpm, parallel_requests: parallel } = key;
  const most = (count: number | null, what: string) =>
    count === null ? [] : [count === 0 ? `no limit of ${what}` : `${count} ${what}`];
  const limits = [
    ...most(rpm, 'requests a minute').map((text) => (burst === null ? text : `${text}, ${burst} at once`)),
    ...most(tpm, 'tokens a minute'),
    ...most(parallel, 'at a time'),
  ];
  const { rotate_every_s: every, rotate_grace_s: grace } = key;
  return [
    ...(key.models === null ? [] : [`only ${key.models.join(', ')}`]),
    ...(key.cidrs === null ? [] : [`only from ${key.cidrs.join(', ')}`]),
    ...(key.origins === null ? [] : [`only for ${key.origins.join(', ')}`]),
    ...(limits.length === 0 ? [] : [limits.join('; ')]),
    ...(every === null
      ? []
      : [`replaced every ${lengthText(every)}, the old one works ${lengthText(grace ?? 0)} longer`]),
    ...(key.is_uncollected ? [`nobody has fetched it: flm api-keys collect ${key.id}`] : []),
  ];
}
