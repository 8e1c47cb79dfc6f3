/** Policies and their versions, as a person reads them. */
import type {
  PolicyChange,
  PolicyHistory,
  PolicyReview,
  PolicyVersion,
  PolicyView,
  Remark,
  Whitelist,
} from '../../../src/policy';
import { printable, table } from '../../table';
import { localTime } from '../../time';

export function policyText(policy: PolicyView): string {
  const { version, updated_at: at, updated_by: by, note, document, warnings } = policy;
  const why = note === null ? '' : `: ${note}`;
  return [
    printable(`Version ${version}, ${localTime(at)}, by ${by}${why}`),
    JSON.stringify(document, null, 2),
    ...remarkLines(warnings),
  ].join('\n');
}

export function changeText({ version, changed, warnings }: PolicyChange): string {
  const what =
    changed.length === 0
      ? `Nothing differs: version ${version} stays in force.`
      : `Version ${version} is in force. Changed: ${listed(changed)}.`;
  return [printable(what), ...remarkLines(warnings)].join('\n');
}

/** A rollback makes a new version even where nothing differs from the last. */
export function rollbackText(change: PolicyChange, to: number): string {
  const { version, changed, warnings } = change;
  const what = changed.length === 0 ? 'as before' : `changed: ${listed(changed)}`;
  return [
    printable(`Version ${to} is back, as version ${version} (${what}).`),
    ...remarkLines(warnings),
  ].join('\n');
}

export function reviewText({ valid, problems, warnings }: PolicyReview): string {
  const verdict = valid
    ? warnings.length === 0
      ? ['The policy is valid.']
      : ['The policy is valid, but look at this:']
    : ['The policy is not valid:'];
  return [...verdict, ...remarkLines(problems, '✗'), ...remarkLines(warnings)].join('\n');
}

export function historyText({ items, next }: PolicyHistory): string {
  const rows = items.map((version) => ({
    cells: [String(version.version), localTime(version.updated_at), version.updated_by, stateText(version)],
    below: [version.note ?? '', listed(version.changed)].filter((part) => part !== '').join(' · ') || null,
  }));
  const more = next === null ? '' : `\n\nThere are more: --cursor ${next}`;
  return table(['VERSION', 'TIME', 'WHO', 'STATE'], rows, 'No version is stored.') + more;
}

function stateText({ state }: PolicyVersion): string {
  switch (state) {
    case 'in-force':
      return 'in force';
    case 'past':
      return '';
    case 'altered':
      return 'not as it was written';
  }
}

export function whitelistText({ items, warnings }: Whitelist): string {
  const who =
    items.length === 0
      ? ['Everybody may come: the list is empty.']
      : ['Only these may come:', ...items.map((network) => `  ${printable(network)}`)];
  return [...who, ...remarkLines(warnings)].join('\n');
}

const SHOWN = 8;

function listed(paths: readonly string[]): string {
  const more = paths.length > SHOWN ? `, and ${paths.length - SHOWN} more` : '';
  return paths.slice(0, SHOWN).join(', ') + more;
}

function remarkLines(remarks: readonly Remark[], sign = '!'): string[] {
  return remarks.map(({ path, message }) => printable(`${sign} ${path === '' ? 'it' : path} ${message}`));
}
