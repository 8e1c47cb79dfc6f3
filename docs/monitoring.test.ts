/**
 * The dashboard and the alert rules (FLM-122) name only what a real scrape has: every metric, and every label of it. What
 * Prometheus itself adds (`up`, `job`, `instance`) is not FLM's to have.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { isRecord } from '../src/lib/json';
import { chat, type Gateway, MODEL, startGateway } from '../test/contract/support/gateway';
import { CHAT } from '../test/contract/support/routes';
import { metricsIn } from '../test/support/metrics';
import { isMissing, lacksProgram } from '../test/support/missing';

/** Label names by metric, as a scrape has them after some traffic. */
const scraped = new Map<string, Set<string>>();
const families = new Set<string>();
let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway();
  await gateway.addFake('llamacpp');
  await gateway.post(CHAT, chat(MODEL.llamacpp, { stream: true }));
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  for (const { name, labels } of metricsIn(text)) {
    const known = scraped.get(name) ?? new Set();
    for (const label of Object.keys(labels)) known.add(label);
    scraped.set(name, known);
  }
  for (const [, family = ''] of text.matchAll(/^# TYPE (\S+) /gm)) families.add(family);
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
});

const PROMETHEUS = new Set(['job', 'instance']);
/** Words of PromQL that may stand where a metric does. */
const WORDS = new Set(
  'sum by rate increase histogram_quantile or and unless on ignoring up label_values le'.split(' '),
);

interface Named {
  readonly metrics: readonly string[];
  readonly labels: readonly string[];
}

/** What an expression names: metrics, and labels in braces and behind `by`. */
function namesIn(expression: string): Named {
  const plain = expression.replaceAll(/"[^"]*"/g, '""');
  const inBraces = [...plain.matchAll(/\{([^}]*)\}/g)].flatMap(([, inner = '']) => inner.split(','));
  const behindBy = [...plain.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, inner = '']) => inner.split(','));
  const labels = [
    ...inBraces.map((part) => /^\s*(\w+)\s*[=!]/.exec(part)?.[1] ?? ''),
    ...behindBy.map((part) => part.trim()),
  ].filter((label) => label !== '');
  const bare = plain
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, '')
    .replaceAll(/\bby\s*\([^)]*\)/g, '')
    .replaceAll(/label_values\(([^,)]*)[^)]*\)/g, '$1');
  const metrics = [...bare.matchAll(/[a-zA-Z_:][\w:]*/g)]
    .map(([word]) => word)
    .filter((word) => !WORDS.has(word));
  return { metrics, labels };
}

async function expressions(): Promise<{ readonly from: string; readonly text: string }[]> {
  const alerts = await Bun.file(join(import.meta.dir, 'prometheus', 'alerts.yml')).text();
  const dashboard: unknown = await Bun.file(join(import.meta.dir, 'grafana', 'flm.json')).json();
  return [
    ...rulesIn(alerts).map(({ alert, expr }) => ({ from: `alert ${alert}`, text: expr })),
    ...textsIn(dashboard, 'expr').map((text) => ({ from: 'dashboard', text })),
    ...textsIn(dashboard, 'query')
      .filter((text) => text.startsWith('label_values'))
      .map((text) => ({ from: 'variable', text })),
  ];
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string | null;
  readonly severity: string;
}

function rulesIn(text: string): Rule[] {
  const file = Bun.YAML.parse(text) as {
    groups: { rules: { alert: string; expr: string; for?: string; labels: { severity: string } }[] }[];
  };
  return file.groups.flatMap(({ rules }) =>
    rules.map((rule) => ({
      alert: rule.alert,
      expr: rule.expr,
      for: rule.for ?? null,
      severity: rule.labels.severity,
    })),
  );
}

/** Every text that stands under that name, however deep. */
function textsIn(value: unknown, name: string): string[] {
  if (Array.isArray(value)) return value.flatMap((each) => textsIn(each, name));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, each]) =>
    key === name && typeof each === 'string' ? [each] : textsIn(each, name),
  );
}

describe('the dashboard and the alert rules', () => {
  test('name metrics that FLM has', async () => {
    const all = await expressions();
    expect(all.length).toBeGreaterThan(25);
    for (const { from, text } of all) {
      const { metrics } = namesIn(text);
      if (!text.startsWith('up{')) expect([from, text, metrics.length > 0]).toEqual([from, text, true]);
      const unknown = metrics.filter((name) => !scraped.has(name) && !families.has(name));
      expect([from, text, unknown]).toEqual([from, text, []]);
    }
  });

  test('name labels that their metrics have', async () => {
    for (const { from, text } of await expressions()) {
      const { metrics, labels } = namesIn(text);
      const known = new Set(metrics.flatMap((name) => [...(scraped.get(name) ?? [])]));
      const unknown = labels.filter((label) => !known.has(label) && !PROMETHEUS.has(label));
      expect([from, text, unknown]).toEqual([from, text, []]);
    }
  });

  test('have what FLM-122 asks for', async () => {
    const rules = rulesIn(await Bun.file(join(import.meta.dir, 'prometheus', 'alerts.yml')).text());
    const of = (alert: string) => rules.find((rule) => rule.alert === alert);
    expect(of('FlmErrors')).toMatchObject({
      expr: expect.stringMatching(/> 0\.05$/),
      for: '5m',
      severity: 'warning',
    });
    expect(of('FlmRateLimited')).toMatchObject({
      expr: expect.stringMatching(/> 10$/),
      for: '5m',
      severity: 'warning',
    });
    expect(of('FlmIntrusion')).toMatchObject({ for: '1m', severity: 'critical' });
    const dashboard = await Bun.file(join(import.meta.dir, 'grafana', 'flm.json')).json();
    expect(dashboard.refresh).toBe('30s');
    const titles = textsIn(dashboard, 'title');
    for (const title of [
      ...['Request rate', 'Status distribution', 'Active connections', 'Authentication', 'Security events'],
      ...['Success rate', 'Requests', 'Failed', 'Rate limited', 'Blocked'],
    ])
      expect(titles).toContain(title);
  });

  const skipped = isMissing('rules and metrics by promtool', lacksProgram('promtool'));

  test.skipIf(skipped)('can be read by promtool (Debian: prometheus)', async () => {
    const file = join(import.meta.dir, 'prometheus', 'alerts.yml');
    const ran = Bun.spawnSync(['promtool', 'check', 'rules', file]);
    expect(ran.stdout.toString() + ran.stderr.toString()).toContain('SUCCESS');
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    const lint = Bun.spawnSync(['promtool', 'check', 'metrics'], { stdin: Buffer.from(text) });
    // It also tells how names should end; those of FLM-121 are given.
    expect(lint.stderr.toString()).not.toContain('error while');
  });
});

describe('the test above', () => {
  test.each([
    ['rate(flm_no_such_total[5m])', ['flm_no_such_total'], []],
    ['sum by (a, b) (x{c="d",e!~"f"})', ['x'], ['c', 'e', 'a', 'b']],
  ])('finds what %s names', (text, metrics, labels) => {
    expect(namesIn(text)).toEqual({ metrics, labels });
  });
});
