/** Reads what /metrics says, strictly: a line that Prometheus would not take fails the test. */

export interface MetricLine {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/gy;

/** Every line of numbers. @throws Error for a line of another form, or a family without HELP and TYPE */
export function metricsIn(text: string): readonly MetricLine[] {
  const types = new Map<string, string>();
  const lines: MetricLine[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (typed !== undefined && type !== undefined) {
      if (types.has(typed)) throw new Error(`the type of ${typed} is told twice`);
      types.set(typed, type);
      continue;
    }
    const [, name = '', labels = '', value = ''] = LINE.exec(line) ?? [];
    const family = name.replace(/_(?:bucket|sum|count)$/, '');
    if (!types.has(name) && types.get(family) !== 'histogram') throw new Error(`not a metric: ${line}`);
    lines.push({ name, labels: labelsIn(labels), value: value === '+Inf' ? Infinity : Number(value) });
  }
  return lines;
}

function labelsIn(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let read = 0;
  for (const [whole, name = '', value = ''] of text.matchAll(LABEL)) {
    labels[name] = value.replaceAll(/\\(.)/g, (_, each: string) => (each === 'n' ? '\n' : each));
    read += whole.length;
  }
  if (read !== text.length) throw new Error(`not labels: ${text}`);
  return labels;
}

/** The number of one series, with exactly these labels; NaN when there is none. */
export function numberOf(
  lines: readonly MetricLine[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const found = lines.find((line) => line.name === name && Bun.deepEquals(line.labels, labels));
  return found?.value ?? Number.NaN;
}
