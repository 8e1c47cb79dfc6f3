/** The metrics as text, as Prometheus reads them (text format 0.0.4): made family by family, so that nobody has to wait. */
import type { Distribution, Family, Labels } from './registry';

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Series that are written without a pause: about a millisecond's worth. */
const SERIES_AT_ONCE = 100;

/** The text of all families. Lets others run between pieces of it. */
export async function exposition(families: readonly Family[]): Promise<string> {
  const pieces: string[] = [];
  let since = 0;
  for (const family of families) {
    for (const { text, series } of linesOf(family)) {
      pieces.push(text);
      since += series;
      if (since < SERIES_AT_ONCE) continue;
      since = 0;
      await new Promise<void>((resume) => setImmediate(resume));
    }
  }
  return pieces.join('');
}

interface Piece {
  readonly text: string;
  readonly series: number;
}

function* linesOf(family: Family): Generator<Piece> {
  const { name, help, type, labelNames } = family;
  const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  yield { text: `# HELP ${name} ${text}\n# TYPE ${name} ${type}\n`, series: 0 };
  if (family.type === 'histogram') {
    const bounds = [...family.bounds.map(numberText), '+Inf'];
    for (const distribution of family.distributions())
      yield { text: histogramLines(name, labelNames, bounds, distribution), series: 1 };
    return;
  }
  for (const { labels, value } of family.samples()) {
    const inner = labelText(labelNames, labels);
    yield {
      text: `${name}${inner === '' ? '' : `{${inner}}`} ${numberText(value)}\n`,
      // A histogram has a dozen lines.
      series: 0.1,
    };
  }
}

function histogramLines(
  name: string,
  labelNames: readonly string[],
  bounds: readonly string[],
  { labels, counts, sum }: Distribution,
): string {
  const inner = labelText(labelNames, labels);
  const start = `${name}_bucket{${inner}${inner === '' ? '' : ','}le="`;
  let text = '';
  let count = 0;
  for (const [index, bound] of bounds.entries()) {
    count += counts[index] ?? 0;
    text += `${start}${bound}"} ${count}\n`;
  }
  const rest = inner === '' ? '' : `{${inner}}`;
  return `${text}${name}_sum${rest} ${numberText(sum)}\n${name}_count${rest} ${count}\n`;
}

function labelText(names: readonly string[], values: Labels): string {
  return names.map((name, index) => `${name}="${escaped(values[index] ?? '')}"`).join(',');
}

/** Values come from engines: what they call their models. */
function escaped(value: string): string {
  return /["\\\n]/.test(value)
    ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    : value;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
