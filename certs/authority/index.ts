/**
 * A private authority: its root, the leaves that servers show, and the change from one root to the next. Leaves are kept up to
 * date by `check`; a rotation leaves a bridge behind, over which clients that trust only the old root come to the new one.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../src/contract';
import { FlmError } from '../../src/lib/errors';
import { parseIp } from '../../src/lib/ip';
import { datesOf, idOf, pemOf, readCertificate } from '../certificate';
import type { AuthorityMode } from '../model';
import { divide, type MachineNames, namesOf, OWN_NAME, permittedFor } from '../names';
import type { Bridge, CertStore, StoredCertificate, StoredRoot } from '../store';
// Types only: the code that makes certificates is loaded when one is made.
import type { KeyedCertificate, Lifetime } from './issue';
import { loadIssue } from './load';

/** What an authority of one mode is made of. */
export interface AuthorityOptions {
  readonly mode: AuthorityMode;
  readonly store: CertStore;
  readonly clock: Clock;
  /** What the machine is called at this moment. */
  readonly machine: () => MachineNames;
  /** Names and addresses that the owner adds. */
  readonly configured: () => readonly string[];
}

/** A private authority: what may be asked of it (ADR 0014). Nothing is written by asking for `root`. */
export interface Authority {
  /** The root that signs, or null. */
  root(): Promise<StoredRoot | null>;
  /** As root; made where there is none. */
  ensureRoot(): Promise<StoredRoot>;
  /**
   * Sees to it that there are leaves for the machine as it is now, and returns them: those of DNS names first, then those
   * that have addresses, too. Of two that have a name, the first one is for it.
   */
  leaves(): Promise<readonly StoredCertificate[]>;
  /** Takes a new root into use. @throws CA_NOT_FOUND, CA_ROTATING */
  rotate(overlapMs: number): Promise<StoredRoot>;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ROOT_MS = 3_650 * DAY_MS;
const LEAF_MS = 90 * DAY_MS;
/** Clocks of phones and of machines without a battery are late. */
const BACKDATE_MS = HOUR_MS;

/** The names under which uninstallers look for it (FLM-093). */
const ROOT_NAMES = {
  'packaged-ca': 'FLM Local CA',
  'dev-selfsigned': 'FLM Dev Root CA',
} as const satisfies Record<AuthorityMode, string>;

/** The authority of `mode`, over what the store has of it. Makes nothing before it is asked to. */
export function createAuthority({ mode, store, clock, machine, configured }: AuthorityOptions): Authority {
  async function rootsOfMode(): Promise<readonly StoredRoot[]> {
    return (await store.roots()).filter((root) => root.mode === mode);
  }

  async function root(): Promise<StoredRoot | null> {
    return (await rootsOfMode()).find(({ privateKey }) => privateKey !== null) ?? null;
  }

  async function newRoot(): Promise<Omit<StoredRoot, 'bridge'> & { readonly privateKey: Buffer }> {
    const { makeRoot } = await loadIssue();
    const nowMs = clock.nowMs();
    const permitted = permittedFor(machine(), configured());
    const made = await makeRoot({
      commonName: `${ROOT_NAMES[mode]} ${randomBytes(4).toString('hex')}`,
      permitted,
      notBeforeMs: nowMs - BACKDATE_MS,
      notAfterMs: nowMs + ROOT_MS,
    });
    return { ...made, id: idOf(made.certificate), mode, permitted, createdAtMs: nowMs };
  }

  /**
   * What leaves have to name, and which certificate has to follow them. Those with DNS names alone come first: BoringSSL
   * (Bun, Envoy, gRPC) refuses every certificate with an address in it whose root is limited to addresses.
   */
  async function wanted({ permitted, bridge }: StoredRoot): Promise<readonly Wanted[]> {
    const all = divide(namesOf(machine(), configured()), permitted).covered;
    const named = [...new Set([...all.filter((name) => parseIp(name) === null), OWN_NAME])];
    if (bridge === null) return [named, all].map((names) => ({ names, bridge: null }));
    const old = (await rootsOfMode()).find(({ id }) => id === bridge.from);
    return [named, all].flatMap((names) => {
      const shared = divide(names, old?.permitted ?? { dns: [], networks: [] }).covered;
      const forBoth = { names: shared, bridge };
      // A name that the old root may not vouch for would spoil the certificate for those who trust only that one.
      return shared.length === names.length ? [forBoth] : [forBoth, { names, bridge: null }];
    });
  }

  async function issue(from: KeyedRoot, { names, bridge }: Wanted): Promise<StoredCertificate> {
    const { makeLeaf } = await loadIssue();
    const nowMs = clock.nowMs();
    const lifetime = { notBeforeMs: nowMs - BACKDATE_MS, notAfterMs: nowMs + LEAF_MS };
    const { certificate, privateKey } = await makeLeaf(from, names, within(lifetime, from));
    const chain = bridge === null ? [certificate] : [certificate, bridge.certificate];
    return {
      id: idOf(certificate),
      mode,
      chainPem: chain.map((der) => pemOf('CERTIFICATE', der)).join(''),
      privateKey,
      names,
      authorityId: from.id,
      ...datesOf(readCertificate(certificate)),
      createdAtMs: nowMs,
      expiryToldAtMs: null,
    };
  }

  async function ensureRoot(): Promise<StoredRoot> {
    const known = await root();
    if (known !== null) return known;
    const made = { ...(await newRoot()), bridge: null };
    await store.addRoot(made);
    return made;
  }

  return {
    root,
    ensureRoot,

    async leaves() {
      const current = await withoutOldBridge(await ensureRoot());
      const stored = (await store.certificates()).filter((certificate) => certificate.mode === mode);
      const nowMs = clock.nowMs();
      // A root that has ended cannot vouch for anything: what there is goes on being shown.
      const { notBeforeMs, notAfterMs } = datesOf(readCertificate(current.certificate));
      if (stored.length > 0 && (nowMs < notBeforeMs || nowMs >= notAfterMs)) return stored;
      const leaves: StoredCertificate[] = [];
      const fresh: StoredCertificate[] = [];
      for (const want of await wanted(current)) {
        const found = stored.find(
          (leaf) => leaf.authorityId === current.id && fits(leaf, want) && isYoung(leaf, nowMs),
        );
        const leaf = found ?? (await issue(current, want));
        if (found === undefined) fresh.push(leaf);
        leaves.push(leaf);
      }
      if (fresh.length > 0 || leaves.length !== stored.length)
        await store.replaceLeaves(
          mode,
          leaves.map(({ id }) => id),
          fresh,
        );
      return leaves;
    },

    async rotate(overlapMs) {
      const old = await root();
      if (old?.privateKey == null) throw new FlmError('CA_NOT_FOUND', { meta: { mode } });
      const nowMs = clock.nowMs();
      if (overlapMs > 0 && old.bridge !== null && old.bridge.endsAtMs > nowMs)
        throw new FlmError('CA_ROTATING', { meta: { until: new Date(old.bridge.endsAtMs).toISOString() } });
      const made = await newRoot();
      const bridge =
        overlapMs === 0 ? null : await bridgeTo(made, { ...old, privateKey: old.privateKey }, overlapMs);
      // Written down before anybody is told: from here on nobody can sign with the old key.
      await store.addRoot({ ...made, bridge });
      return { ...made, bridge };
    },
  };

  /** The bridge ends with its certificate: who has kept a copy of it comes to the new root no longer, either. */
  async function bridgeTo(
    made: Pick<StoredRoot, 'certificate' | 'permitted'>,
    old: KeyedRoot,
    overlapMs: number,
  ): Promise<Bridge> {
    const { makeBridge } = await loadIssue();
    const nowMs = clock.nowMs();
    const lifetime = within({ notBeforeMs: nowMs - BACKDATE_MS, notAfterMs: nowMs + overlapMs }, old);
    const certificate = await makeBridge(made.certificate, old, made.permitted, lifetime);
    return { certificate, from: old.id, endsAtMs: lifetime.notAfterMs };
  }

  async function withoutOldBridge(current: StoredRoot): Promise<KeyedRoot> {
    const { privateKey, bridge } = current;
    if (privateKey === null) throw new FlmError('CA_NOT_FOUND', { meta: { mode } });
    if (bridge === null || clock.nowMs() < bridge.endsAtMs) return { ...current, privateKey };
    await store.endBridge(current);
    return { ...current, privateKey, bridge: null };
  }
}

type KeyedRoot = StoredRoot & KeyedCertificate;

interface Wanted {
  readonly names: readonly string[];
  readonly bridge: Bridge | null;
}

/** The same names, and the same certificate behind it or none. */
function fits({ names, chainPem }: StoredCertificate, want: Wanted): boolean {
  const tail = want.bridge === null ? '' : pemOf('CERTIFICATE', want.bridge.certificate);
  const isBridged = chainPem.indexOf('BEGIN', chainPem.indexOf('BEGIN') + 1) !== -1;
  return (
    isBridged === (want.bridge !== null) &&
    chainPem.endsWith(tail) &&
    names.length === want.names.length &&
    want.names.every((name) => names.includes(name))
  );
}

/** Whether more than a third of its life is left, and the clock has not gone back behind its start. */
function isYoung({ notBeforeMs, notAfterMs }: StoredCertificate, nowMs: number): boolean {
  return nowMs >= notBeforeMs && notAfterMs - nowMs > (notAfterMs - notBeforeMs) / 3;
}

/** Nothing lives longer than who vouches for it. */
function within(lifetime: Lifetime, root: Pick<StoredRoot, 'certificate'>): Lifetime {
  const { notBeforeMs, notAfterMs } = datesOf(readCertificate(root.certificate));
  return {
    notBeforeMs: Math.max(lifetime.notBeforeMs, notBeforeMs),
    notAfterMs: Math.min(lifetime.notAfterMs, notAfterMs),
  };
}
