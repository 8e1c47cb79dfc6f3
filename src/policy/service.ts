/** The policy as its owner deals with it: shown, replaced, examined, its versions, and the list of who may come. */
import type { AuditEvent, Clock } from '../contract';
import { currentActor } from '../lib/actor';
import { FlmError } from '../lib/errors';
import { parseJson } from '../lib/json';
import { readNetwork } from '../lib/networks';
import type {
  HistoryQuery,
  NetworkInput,
  PastPolicy,
  PolicyApi,
  PolicyChange,
  PolicyHistory,
  PolicyReview,
  PolicyVersion,
  PolicyView,
  Whitelist,
} from './api';
import { differences } from './differences';
import { createKeeper, type KeeperOptions, type Reading } from './keeper';
import type { CurrentPolicy, PolicyDocument } from './model';
import { findProblems, findWarnings, type Remark, type Surroundings, shutOut, sizeProblem } from './rules';
import { fits, schemaProblems } from './schema';
import { createSealer, type StoredVersion, type Unsealed } from './seal';
import type { Head, PolicyStore } from './store';

export interface Policies extends PolicyApi {
  readonly current: CurrentPolicy;
  /** Why there is none; null while there is one. */
  trouble(): string | null;
  /** Looks into the database at once. The version in force, or null. */
  refresh(): Promise<number | null>;
  /** Examines every version that is stored. */
  examine(): Promise<Examination>;
  close(): Promise<void>;
}

export interface Examination {
  readonly version: number | null;
  readonly trouble: string | null;
  readonly versions: number;
  /** Past versions that are not as they were written, or whose predecessor is gone. */
  readonly altered: readonly number[];
}

export interface PoliciesOptions extends Omit<KeeperOptions, 'sealer'> {
  /** 32 random bytes of this installation, of which the key of the seals is made. */
  readonly secret: Buffer;
  readonly surroundings: () => Surroundings;
  readonly clock: Clock;
}

const DEFAULT_LIMIT = 20;
/** As many differences are put on record, and as many problems told. */
const TOLD = 20;

/** What is in force before anybody has said anything. */
export const FIRST_POLICY: PolicyDocument = { ip_whitelist: [], cors: { allowed_origins: [] } };

/** Reads the policy, and stores the first one where there never was any. */
export async function createPolicies(options: PoliciesOptions): Promise<Policies> {
  const { store, onRecord, clock, log } = options;
  const sealer = createSealer(options.secret);
  const keeper = createKeeper({ ...options, sealer });
  const { reading, look, inTurn } = keeper;

  async function addVersion(
    document: unknown,
    why: Pick<AuditEvent, 'type'> & {
      readonly note: string | undefined;
      readonly details: Record<string, unknown>;
    },
    ifVersion: number | undefined,
    isAlways: boolean,
  ): Promise<PolicyChange> {
    const problems = await problemsOf(document);
    if (problems.length > 0) throw invalid(problems);
    return inTurn(async () => {
      await look();
      const changed = differences(reading().policy?.document, document);
      const known = await keeper.newestKnown();
      const { policy, head: newest } = reading();
      if (policy !== null && changed.length === 0 && !isAlways) {
        requireVersion(ifVersion, newest);
        return { ...viewNow(), changed };
      }
      await store.add((head) => {
        requireVersion(ifVersion, head);
        const unsealed: Unsealed = {
          version: Math.max(head?.row.version ?? 0, known?.version ?? 0) + 1,
          documentJson: JSON.stringify(document),
          createdAtMs: clock.nowMs(),
          // Half a character would be stored as another one, and the seal would not fit.
          actor: currentActor().id.toWellFormed(),
          note: why.note?.toWellFormed() ?? null,
        };
        const row = { ...unsealed, seal: sealer.seal(unsealed, head?.row.seal ?? null) };
        const details = {
          version: row.version,
          changed: changed.slice(0, TOLD),
          ...(changed.length > TOLD ? { changed_in_all: changed.length } : {}),
          ...why.details,
          ...(why.note === undefined ? {} : { note: why.note }),
          seal: row.seal.toString('hex'),
        };
        return { row, event: { type: why.type, severity: 'high', target: 'policy:default', details } };
      });
      await look();
      return { ...viewNow(), changed };
    });
  }

  function requirePolicy(): Extract<Reading, { trouble: null }> {
    const now = reading();
    if (now.policy === null) throw new FlmError('POLICY_UNREADABLE', { meta: { reason: now.trouble } });
    return now;
  }

  function viewNow(): PolicyView {
    const { policy, head } = requirePolicy();
    const { document } = policy;
    return { id: 'default', ...factsOf(head.row), document, warnings: warningsOf(document) };
  }

  const warningsOf = (document: PolicyDocument) => findWarnings(document, options.surroundings());

  function stateOf(row: StoredVersion, before: Buffer | null): PolicyVersion['state'] {
    if (!sealer.isIntact(row, before)) return 'altered';
    return row.version === reading().policy?.version ? 'in-force' : 'past';
  }

  function versionOf(row: StoredVersion, before: StoredVersion | null): PolicyVersion {
    const earlier = before === null ? undefined : parseJson(before.documentJson);
    return {
      ...factsOf(row),
      state: stateOf(row, before?.seal ?? null),
      changed: differences(earlier, parseJson(row.documentJson)),
    };
  }

  /** The list as it is, and with a network more or less. @throws POLICY_LOCKS_OUT */
  async function changeWhitelist(input: NetworkInput, change: (list: string[], network: string) => string[]) {
    const { network, problem } = readNetwork(input.network);
    if (problem !== null) throw invalid([{ path: '/ip_whitelist', message: problem }]);
    await inTurn(look);
    const { version, document } = requirePolicy().policy;
    const before = document.ip_whitelist ?? [];
    const after = change([...before], network);
    const { clients } = options.surroundings();
    const isEverybodyOut = (list: readonly string[]) => shutOut(list, clients).length === clients.length;
    // Whoever is shut out already loses nothing.
    if (input.force !== true && clients.length > 0 && !isEverybodyOut(before) && isEverybodyOut(after))
      throw new FlmError('POLICY_LOCKS_OUT', { meta: { clients: clients.slice(0, TOLD).join(', ') } });
    const why = { type: 'policy.set', note: input.note, details: {} } as const;
    await addVersion({ ...document, ip_whitelist: after }, why, version, false);
    return whitelistNow();
  }

  function whitelistNow(): Whitelist {
    const { version, document, warnings } = viewNow();
    const items = [...(document.ip_whitelist ?? [])];
    return {
      items,
      next: null,
      version,
      warnings: warnings.filter(({ path }) => path.startsWith('/ip_whitelist')),
    };
  }

  async function seed(): Promise<void> {
    // With versions on record but none here, they were taken away: the first policy would open what was closed.
    if ((await store.head()) !== null || (await onRecord()) !== null) return;
    const unsealed: Unsealed = {
      version: 1,
      documentJson: JSON.stringify(FIRST_POLICY),
      createdAtMs: clock.nowMs(),
      actor: 'flm',
      note: 'the first policy',
    };
    await store.add((head) => {
      if (head !== null)
        throw new FlmError('POLICY_CONFLICT', { meta: { version: head.row.version, expected: 0 } });
      return { row: { ...unsealed, seal: sealer.seal(unsealed, null) }, event: null };
    });
  }

  try {
    await seed();
  } catch (error) {
    // A disk that is full keeps nobody from starting; reading tells what is the matter.
    log.error('the first security policy could not be stored', { error });
  }
  await inTurn(look);
  keeper.start();

  return {
    current: () => reading().policy,
    trouble: () => reading().trouble,

    refresh: () =>
      inTurn(async () => {
        await look();
        return reading().policy?.version ?? null;
      }),

    async examine() {
      await inTurn(look);
      const rows = await rowsOrNone(store);
      const altered = rows.filter((row, index) => !sealer.isIntact(row, rows[index - 1]?.seal ?? null));
      return {
        version: reading().policy?.version ?? null,
        trouble: reading().trouble,
        versions: rows.length,
        altered: altered.map(({ version }) => version),
      };
    },

    async show() {
      await inTurn(look);
      return viewNow();
    },

    async set({ document, if_version: ifVersion, note }) {
      return addVersion(document, { type: 'policy.set', note, details: {} }, ifVersion, false);
    },

    async validate(document: unknown): Promise<PolicyReview> {
      const problems = await problemsOf(document);
      const warnings = problems.length === 0 && fits(document) ? warningsOf(document) : [];
      return { valid: problems.length === 0, problems, warnings };
    },

    async history({ limit = DEFAULT_LIMIT, cursor }: HistoryQuery): Promise<PolicyHistory> {
      // One more than is shown is what the last one is compared with.
      const rows = await store.page(cursor === undefined ? null : versionIn(cursor), limit + 1);
      const items = rows.slice(0, limit).map((row, index) => versionOf(row, rows[index + 1] ?? null));
      const last = rows[limit - 1];
      return { items, next: rows.length > limit && last !== undefined ? String(last.version) : null };
    },

    async version(version): Promise<PastPolicy> {
      const [row, before] = await store.page(version + 1, 2);
      if (row?.version !== version) throw new FlmError('POLICY_VERSION_NOT_FOUND', { meta: { version } });
      return { ...versionOf(row, before ?? null), document: parseJson(row.documentJson) ?? null };
    },

    async rollback({ version, if_version: ifVersion, note }) {
      const [row, before] = await store.page(version + 1, 2);
      if (row?.version !== version) throw new FlmError('POLICY_VERSION_NOT_FOUND', { meta: { version } });
      if (!sealer.isIntact(row, before?.seal ?? null))
        throw new FlmError('POLICY_VERSION_ALTERED', { meta: { version } });
      const why = { type: 'policy.rolled_back', note, details: { rolled_back_to: version } } as const;
      return addVersion(parseJson(row.documentJson), why, ifVersion, true);
    },

    async whitelist() {
      await inTurn(look);
      return whitelistNow();
    },

    allow: (input) =>
      changeWhitelist(input, (list, network) => (placeOf(list, network) === -1 ? [...list, network] : list)),

    disallow: (input) =>
      changeWhitelist(input, (list, network) => {
        const place = placeOf(list, network);
        if (place === -1) throw new FlmError('NETWORK_NOT_LISTED', { meta: { network } });
        return list.toSpliced(place, 1);
      }),

    close: keeper.close,
  };
}

async function problemsOf(document: unknown): Promise<Remark[]> {
  const size = sizeProblem(document);
  return size === null ? [...(await schemaProblems(document)), ...findProblems(document)] : [size];
}

function invalid(problems: readonly Remark[]): FlmError {
  const told = problems.slice(0, TOLD).map(({ path, message }) => `${path === '' ? 'it' : path} ${message}`);
  const more = problems.length > TOLD ? [`and ${problems.length - TOLD} more`] : [];
  return new FlmError('POLICY_INVALID', { meta: { problems: [...told, ...more].join('; ') } });
}

function requireVersion(expected: number | undefined, head: Head | null): void {
  const version = head?.row.version ?? 0;
  if (expected !== undefined && expected !== version)
    throw new FlmError('POLICY_CONFLICT', { meta: { version, expected } });
}

function placeOf(list: readonly string[], network: string): number {
  return list.findIndex((entry) => readNetwork(entry).network === network);
}

function factsOf({ version, createdAtMs, actor, note }: StoredVersion) {
  return { version, updated_at: new Date(createdAtMs).toISOString(), updated_by: actor, note };
}

function versionIn(cursor: string): number {
  if (!/^\d{1,15}$/.test(cursor))
    throw new FlmError('INVALID_INPUT', {
      meta: { field: 'cursor', reason: 'it is not the "next" of an earlier answer' },
    });
  return Number(cursor);
}

/** What cannot be read is told as the trouble it is. */
async function rowsOrNone(store: PolicyStore): Promise<readonly StoredVersion[]> {
  try {
    return await store.all();
  } catch {
    return [];
  }
}
