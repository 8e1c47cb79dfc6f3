/** Models, aliases and strategies for people. */
import {
  type AliasView,
  type CopyView,
  formatTargets,
  type ModelDetail,
  type ModelList,
  type StrategyView,
} from '../../src/models';
import { columns, printable, table } from '../table';

export function modelsText({ items }: ModelList): string {
  return table(
    ['MODEL', 'ENGINE', 'PARAMS', 'QUANT', 'CTX', 'LOADED'],
    items.map((model) => [
      model.id,
      model.engine,
      model.parameters ?? '-',
      model.quantization ?? '-',
      model.context_length === null ? '-' : String(model.context_length),
      loadedText(model.loaded),
    ]),
    'No running engine has a model. "flm engines detect" looks for engines.',
  );
}

/** What a name means: each copy in the order in which they would be asked. */
export function detailText({ name, alias, strategy, copies }: ModelDetail): string {
  const sections: string[] = [];
  if (alias !== null) sections.push(`${name} is an alias of ${formatTargets(alias.places)}.`);
  if (copies.length === 0) sections.push('No running engine has any of it.');
  if (copies.length > 1) sections.push(`Asked in this order at the moment (${strategy}):`);
  return [...sections, ...copies.map(copyText)].join('\n\n');
}

function copyText(copy: CopyView): string {
  const { standing } = copy;
  const size = copy.size_bytes === null ? [] : [bytesText(copy.size_bytes)];
  const what = [copy.family, copy.parameters, copy.quantization, ...size].filter((part) => part !== null);
  const rows: [string, string][] = [
    ['engine', `${copy.engine} (${copy.kind})`],
    ...rowOf('also called', copy.other_names.join(', ')),
    ...rowOf('model', what.join(', ')),
    ['context', copy.context_length === null ? '-' : `${copy.context_length} tokens`],
    ['loaded', loadedText(copy.loaded)],
    ['can', copy.capabilities.join(', ') || '-'],
    ['state', stateText(standing)],
    ['slots', slotsText(standing)],
    ['errors', `${Math.round(standing.error_rate * 100)} % of recent requests`],
    ['speed', speedText(standing)],
  ];
  return `${printable(copy.uri)}\n${columns(rows)}`;
}

/** No row where there is nothing to say. */
function rowOf(name: string, text: string): [string, string][] {
  return text === '' ? [] : [[name, text]];
}

/** As the lists of engines say it. */
function stateText({ available, degraded, reason }: CopyView['standing']): string {
  const state = degraded ? 'degraded' : 'healthy';
  const why = degraded && reason !== null ? `${state}: ${reason}` : state;
  return available ? why : `left alone after failures; ${why}`;
}

export function aliasesText(aliases: readonly AliasView[]): string {
  return table(
    ['ALIAS', 'STANDS FOR', 'STRATEGY'],
    aliases.map((alias) => [alias.name, formatTargets(alias.places), alias.strategy]),
    'There is no alias yet. Make one with: flm models alias set fast "llama3.2, qwen2.5:3b"',
  );
}

/** What an alias is now, and what its owner may not have meant. */
export function aliasText(alias: AliasView): string {
  const targets = alias.places.flat();
  const missing = targets.filter(({ copies }) => copies === 0);
  const hides = alias.shadows && !targets.some(({ model }) => model === alias.name);
  return [
    `${alias.name} stands for ${formatTargets(alias.places)}.`,
    // It may be left from before: a change of targets keeps it.
    ...(alias.strategy === 'manual'
      ? []
      : [
          `Among them ${alias.strategy} chooses. Back to their order: flm models strategy unset ${alias.name}`,
        ]),
    ...(hides
      ? [`It hides the model of that name, which clients now reach as flm://<engine>/${alias.name} alone.`]
      : []),
    ...missing.map(({ model }) => `No running engine has ${model} now; it is passed over until one has.`),
  ].join('\n');
}

export function strategiesText(strategies: readonly StrategyView[]): string {
  return table(
    ['NAME', 'STRATEGY', 'COPIES'],
    strategies.map(({ name, strategy, copies }) => [name, strategy, String(copies)]),
    'No strategy is set: least-busy for models, and for aliases the order of their targets.',
  );
}

export function strategyText({ name, strategy, set, copies }: StrategyView): string {
  const now = set ? `${name}: ${strategy}.` : `${name}: ${strategy}, the default.`;
  return copies > 1
    ? now
    : `${now}\nIt counts once several engines have it; now ${copies === 0 ? 'none has' : 'one has'}.`;
}

function loadedText(loaded: boolean | null): string {
  return loaded === null ? '-' : loaded ? 'yes' : 'no';
}

function slotsText({ slots, free_slots: free }: CopyView['standing']): string {
  if (slots === null || free === null) return 'not known';
  return free >= 0 ? `${free} of ${slots} free` : `all ${slots} taken, ${-free} waiting`;
}

function speedText({ tokens_per_second: speed, latency_ms: latencyMs }: CopyView['standing']): string {
  const tokens = speed === null ? 'not seen yet' : `${speed.toFixed(speed < 10 ? 1 : 0)} tokens/s`;
  return `${tokens}; last look answered in ${Math.round(latencyMs)} ms`;
}

/** As the engines' own pages give sizes: in powers of ten. */
function bytesText(bytes: number): string {
  const [divisor, unit] = bytes >= 1e9 ? [1e9, 'GB'] : [1e6, 'MB'];
  return `${(bytes / divisor).toFixed(1)} ${unit}`;
}
