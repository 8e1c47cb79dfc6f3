/** What a policy has to be beyond its schema, and what in it was probably not meant. */
import type { TSchema } from '@sinclair/typebox';
import { type IpReach, ipReach, parseIpSet } from '../lib/ip';
import { isRecord } from '../lib/json';
import { readNetwork } from '../lib/networks';
import { originProblem } from '../lib/origin-problem';
import { suggest } from '../lib/suggest';
import { PolicyDocument } from './model';

/** Something about one place of a document. */
export interface Remark {
  /** JSON pointer (RFC 6901); '' is the whole document. */
  readonly path: string;
  readonly message: string;
}

/** Deeper is nothing that anybody needs; what looks at it calls itself. */
const MAX_DEPTH = 24;
/** A policy goes over the admin API, which takes no larger body. */
const MAX_BYTES = 900_000;

/** What has to be known before anything else looks at the document; null when all is well. */
export function sizeProblem(document: unknown): Remark | null {
  if (isDeeper(document, MAX_DEPTH))
    return { path: '', message: `is nested deeper than ${MAX_DEPTH} levels` };
  const bytes = Buffer.byteLength(JSON.stringify(document) ?? '');
  return bytes > MAX_BYTES ? { path: '', message: `has ${bytes} bytes; at most ${MAX_BYTES} fit` } : null;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (value === null || typeof value !== 'object') return false;
  return levels === 0 || Object.values(value).some((item) => isDeeper(item, levels - 1));
}

/** What a schema cannot say. Looks only at what has the right type: the schema tells of the rest. */
export function findProblems(document: unknown): Remark[] {
  if (!isRecord(document)) return [];
  const { ip_blocklist: blocklist, cors, intrusion_detection: intrusion } = document;
  return [
    ...networkProblems('/ip_whitelist', document.ip_whitelist),
    ...(isRecord(blocklist) ? networkProblems('/ip_blocklist/never', blocklist.never) : []),
    ...(isRecord(cors) ? corsProblems(cors) : []),
    ...(isRecord(intrusion) ? orderProblems(intrusion) : []),
  ];
}

function networkProblems(path: string, list: unknown): Remark[] {
  const seen = new Map<string, { readonly entry: string; readonly index: number }>();
  return textsIn(list).flatMap(([entry, index]) => {
    if (entry === '') return [];
    const { network, problem } = readNetwork(entry);
    const here = `${path}/${index}`;
    if (problem !== null) return [{ path: here, message: problem }];
    const before = seen.get(network);
    seen.set(network, { entry, index });
    // The schema finds those that are written alike.
    if (before === undefined || before.entry === entry) return [];
    return [
      { path: here, message: `"${entry}" is there already: "${before.entry}" at ${path}/${before.index}` },
    ];
  });
}

function corsProblems(cors: Readonly<Record<string, unknown>>): Remark[] {
  const origins = textsIn(cors.allowed_origins);
  const problems = origins.flatMap(([entry, index]) => {
    const message = entry === '' ? null : originProblem(entry);
    return message === null ? [] : [{ path: `/cors/allowed_origins/${index}`, message }];
  });
  if (cors.allow_credentials === true && origins.some(([entry]) => entry === '*'))
    problems.push({
      path: '/cors/allow_credentials',
      message: 'goes not together with the origin "*": every page could act with the cookies of a visitor',
    });
  return problems;
}

function orderProblems({ score_threshold: ban, warning_threshold: warn }: Record<string, unknown>): Remark[] {
  if (typeof ban !== 'number' || typeof warn !== 'number' || warn <= ban) return [];
  const message = `is above score_threshold (${ban}): nobody would be warned before the ban`;
  return [{ path: '/intrusion_detection/warning_threshold', message }];
}

/** The texts of a list, each with its place. */
function textsIn(list: unknown): (readonly [string, number])[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown, index) =>
    typeof entry === 'string' ? [[entry, index] as const] : [],
  );
}

/** What FLM knows of where it stands, for what is wrong only there. */
export interface Surroundings {
  /** Whether a listener can be reached from the internet. */
  readonly isPublic: boolean;
  /** Addresses that used FLM lately. */
  readonly clients: readonly string[];
}

/** As in the schema, where the owner says nothing. */
const MAX_FAILURES = 5;
const PERMANENT_AT = 20;

/** What is allowed, and was probably not meant. The document fits its schema. */
export function findWarnings(document: PolicyDocument, { isPublic, clients }: Surroundings): Remark[] {
  const { ip_whitelist: list = [], models, ip_blocklist: bans = {} } = document;
  const warnings = unknownKeys(document, PolicyDocument, '');
  if (models?.length === 0)
    warnings.push({ path: '/models', message: 'is empty: nobody may use any model; leave it out for all' });
  const { max_failures: first = MAX_FAILURES, permanent_block_threshold: last = PERMANENT_AT } = bans;
  if (last <= first)
    warnings.push({
      path: '/ip_blocklist/permanent_block_threshold',
      message: `(${last}) is not above max_failures (${first}): the first ban lasts until you lift it`,
    });
  if (isPublic && list.length > 0 && list.every(isPrivate))
    warnings.push({
      path: '/ip_whitelist',
      message:
        'holds private addresses only, and FLM can be reached from the internet: nobody from there gets in',
    });
  const out = shutOut(list, clients);
  if (out.length > 0)
    warnings.push({
      path: '/ip_whitelist',
      message: `${out.length === clients.length ? 'shuts out everybody who' : `shuts out ${out.length} of ${clients.length} addresses that`} used FLM lately: ${out.slice(0, SHOWN).join(', ')}${out.length > SHOWN ? ', …' : ''}`,
    });
  return warnings;
}

const SHOWN = 5;

const NEAR: ReadonlySet<IpReach> = new Set<IpReach>(['loopback', 'private', 'link-local']);

function isPrivate(entry: string): boolean {
  const [address = ''] = (readNetwork(entry).network ?? '').split('/');
  return address !== '' && NEAR.has(ipReach(address));
}

/** Those clients that a list of networks does not let in. An empty list lets everybody in. */
export function shutOut(list: readonly string[], clients: readonly string[]): string[] {
  if (list.length === 0 || clients.length === 0) return [];
  const set = parseIpSet(list);
  return clients.filter((ip) => !set.has(ip));
}

/** Unknown keys of one object that are told of; looking for what was meant by each of 40,000 took seconds. */
const TOLD_KEYS = 100;

/** Keys that mean nothing to this version of FLM: kept, and told of, with the key that may have been meant. */
function unknownKeys(value: unknown, schema: TSchema, path: string): Remark[] {
  const known: Readonly<Record<string, TSchema>> = schema.properties ?? {};
  if (!isRecord(value) || schema.type !== 'object') return [];
  let told = 0;
  return Object.entries(value).flatMap(([key, item]) => {
    const inner = Object.hasOwn(known, key) ? known[key] : undefined;
    const here = `${path}/${pointer(key)}`;
    if (inner !== undefined) return unknownKeys(item, inner, here);
    // Editors look there for the schema.
    if ((path === '' && key === '$schema') || told++ >= TOLD_KEYS) return [];
    const near = suggest(key, Object.keys(known));
    const hint = near === null ? '' : `; did you mean "${near}"?`;
    return [{ path: here, message: `is not known to this version of FLM and has no effect${hint}` }];
  });
}

/** A key as part of a JSON pointer (RFC 6901 §3). */
export function pointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
