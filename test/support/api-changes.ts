/**
 * What of one OpenAPI document a client of an older one would miss. What clients send may be taken more widely than
 * before, what they get may be told more narrowly; the other way round is a break.
 */
import { isRecord } from '../../src/lib/json';

type Json = Record<string, unknown>;
/** `sent` by clients, or `got` by them. */
type Direction = 'sent' | 'got';

/** Every break, in words that name the place. Empty when old clients can go on. */
export function breaksBetween(before: Json, after: Json): string[] {
  return entriesOf(before.paths).flatMap(([path, methods]) =>
    entriesOf(methods).flatMap(([method, operation]) => {
      const name = `${method.toUpperCase()} ${path}`;
      const now = record(record(record(after.paths)[path])[method]);
      if (Object.keys(now).length === 0) return [`${name}: it is gone`];
      return operationBreaks(name, record(operation), now);
    }),
  );
}

function operationBreaks(name: string, before: Json, after: Json): string[] {
  const scope = 'x-flm-scope';
  return [
    ...(before[scope] === after[scope]
      ? []
      : [`${name}: it needs the scope ${after[scope]}, not ${before[scope]}`]),
    ...parameterBreaks(name, listOf(before.parameters), listOf(after.parameters)),
    ...bodyBreaks(name, record(before.requestBody), record(after.requestBody)),
    ...entriesOf(before.responses).flatMap(([status, response]) => {
      const now = record(after.responses)[status];
      const place = `${name}: answer ${status}`;
      if (now === undefined) return [`${place} is gone`];
      return contentBreaks(place, record(response), record(now), 'got');
    }),
  ];
}

function parameterBreaks(name: string, before: readonly Json[], after: readonly Json[]): string[] {
  const keyOf = (parameter: Json) => `${parameter.in} parameter ${parameter.name}`;
  const gone = before.filter((old) => !after.some((now) => keyOf(now) === keyOf(old)));
  const changed = after.flatMap((now) => {
    const old = before.find((one) => keyOf(one) === keyOf(now));
    const place = `${name}: ${keyOf(now)}`;
    const isRequired = now.required === true && old?.required !== true ? [`${place} is required now`] : [];
    return [...isRequired, ...(old === undefined ? [] : schemaBreaks(place, old.schema, now.schema, 'sent'))];
  });
  return [...gone.map((old) => `${name}: ${keyOf(old)} is gone`), ...changed];
}

function bodyBreaks(name: string, before: Json, after: Json): string[] {
  const place = `${name}: body`;
  if (before.required !== true && after.required === true) return [`${place} is required now`];
  return contentBreaks(place, before, after, 'sent');
}

function contentBreaks(place: string, before: Json, after: Json, direction: Direction): string[] {
  return entriesOf(before.content).flatMap(([type, media]) => {
    const now = record(after.content)[type];
    if (now === undefined) return [`${place}: ${type} is gone`];
    return schemaBreaks(place, record(media).schema, record(now).schema, direction);
  });
}

function schemaBreaks(place: string, before: unknown, after: unknown, direction: Direction): string[] {
  const [old, now] = [alternativesOf(before), alternativesOf(after)];
  const [narrow, wide] = direction === 'sent' ? [old, now] : [now, old];
  const lost = [...narrow.keys()].filter((type) => !isAmong(type, wide));
  if (lost.length > 0 && wide.size > 0)
    return [`${place}: its type was ${[...old.keys()].join(' or ')} and is ${[...now.keys()].join(' or ')}`];
  return [...old].flatMap(([type, schema]) => {
    const same = now.get(type);
    return same === undefined ? [] : alternativeBreaks(place, schema, same, direction);
  });
}

/** Of one type, before and after. */
function alternativeBreaks(place: string, before: Json, after: Json, direction: Direction): string[] {
  return [
    ...enumBreaks(place, before, after),
    ...(direction === 'sent' ? limitBreaks(place, before, after) : []),
    ...propertyBreaks(place, before, after, direction),
    ...(before.items === undefined ? [] : schemaBreaks(`${place}[]`, before.items, after.items, direction)),
  ];
}

/** A word that is gone is missed by whoever sends it, and by whoever waits for it. */
function enumBreaks(place: string, before: Json, after: Json): string[] {
  if (after.enum === undefined) return [];
  const words: readonly unknown[] = Array.isArray(after.enum) ? after.enum : [];
  if (!Array.isArray(before.enum)) return [`${place}: it takes a few words only`];
  return before.enum
    .filter((word) => !words.includes(word))
    .map((word) => `${place}: ${String(word)} is gone`);
}

const UPPER = ['maximum', 'maxLength', 'maxItems'] as const;
const LOWER = ['minimum', 'minLength', 'minItems'] as const;

function limitBreaks(place: string, before: Json, after: Json): string[] {
  const limit = (schema: Json, name: string, otherwise: number) =>
    typeof schema[name] === 'number' ? schema[name] : otherwise;
  const tighter = [
    ...UPPER.filter(
      (name) => limit(after, name, Number.POSITIVE_INFINITY) < limit(before, name, Number.POSITIVE_INFINITY),
    ),
    ...LOWER.filter(
      (name) => limit(after, name, Number.NEGATIVE_INFINITY) > limit(before, name, Number.NEGATIVE_INFINITY),
    ),
  ].map((name) => `${place}: its ${name} is tighter`);
  const isNewPattern = after.pattern !== undefined && after.pattern !== before.pattern;
  return isNewPattern ? [...tighter, `${place}: its pattern is another one`] : tighter;
}

function propertyBreaks(place: string, before: Json, after: Json, direction: Direction): string[] {
  const [needed, needs] = [namesIn(before.required), namesIn(after.required)];
  const now = record(after.properties);
  const kept = entriesOf(before.properties).flatMap(([name, schema]) => {
    const field = `${place}.${name}`;
    if (now[name] === undefined) return [`${field} is gone`];
    if (direction === 'got' && needed.includes(name) && !needs.includes(name))
      return [`${field} may be missing now`];
    return schemaBreaks(field, schema, now[name], direction);
  });
  const isNew = (name: string) => direction === 'sent' && !needed.includes(name);
  return [...kept, ...needs.filter(isNew).map((name) => `${place}.${name} is required now`)];
}

/** The types a schema allows, each with what is said of it. Empty where it allows anything. */
function alternativesOf(schema: unknown): Map<string, Json> {
  if (!isRecord(schema)) return new Map();
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) return new Map(choices.flatMap((choice) => [...alternativesOf(choice)]));
  if (typeof schema.$ref === 'string') return new Map([[schema.$ref, schema]]);
  const type = schema.type ?? (schema.const === undefined ? undefined : typeof schema.const);
  return typeof type === 'string' ? new Map([[type, schema]]) : new Map();
}

/** An integer is a number. */
function isAmong(type: string, types: ReadonlyMap<string, Json>): boolean {
  return types.has(type) || (type === 'integer' && types.has('number'));
}

function namesIn(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function record(value: unknown): Json {
  return isRecord(value) ? value : {};
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(record(value));
}
