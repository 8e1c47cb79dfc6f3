/**
 * API keys: made, listed, rotated, revoked, and recognised. Recognition works on a snapshot in memory and never waits
 * for the database; a change replaces the snapshot before it is acknowledged.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Clock, Principal, RefusalReason, Scope } from '../contract';
import type { Bus } from '../lib/bus';
import { FlmError, reasonOf } from '../lib/errors';
import { keyIdOf, makeKey } from './key-format';
import type { ApiKey, CreatedKey, KeyInput, KeysApi } from './model';
import type { KeyStore, StoredKey } from './store';
import { type KeyRules, OWNER_RULES, rulesFor, termsOf, termsView } from './terms';

/** Why somebody was not recognised (FLM-108). */
export type Refusal = RefusalReason;

export type Identified =
  | { readonly principal: Principal; readonly refusal: null }
  | { readonly principal: null; readonly refusal: Refusal };

export interface Keys extends KeysApi {
  /** Who the Authorization header says is asking. Takes microseconds, reads nothing, throws nothing. */
  identify(authorization: string | null): Identified;
  /** What was laid down for the key of a principal; null: nothing. */
  rulesOf(principal: Principal): KeyRules | null;
  /** Replaces the keys whose time has come, and leaves the new ones to be collected. How many there were. */
  rotateDue(): Promise<number>;
  /** Whether any key exists that could still be used. */
  anyUsable(): boolean;
  /**
   * A key that lives in memory only, for the owner's own `flm chat`: nothing to list, nothing to clean up.
   * Good for starting requests during `ttlMs`.
   */
  issueEphemeral(label: string, ttlMs: number): { readonly plain: string };
  /** Looks into the database again, which another process has taken over: what it ended, ends here. */
  refresh(): Promise<void>;
  close(): void;
}

interface Recognised {
  readonly hash: Buffer;
  readonly rules: KeyRules | null;
  readonly identified: Identified;
  /** When it expires or is revoked, whichever comes first. */
  readonly endsAtMs: number;
}

/** RFC 6750 §2.1; the scheme in any case, as RFC 9110 §11.1 has it. */
const BEARER = /^Bearer +(\S+) *$/i;
const NEVER = Number.POSITIVE_INFINITY;
/** Longest delay of setTimeout; a later end is looked at again then. */
const MAX_TIMER_MS = 2_147_483_647;

export async function createKeys(store: KeyStore, clock: Clock, bus: Bus): Promise<Keys> {
  const pepper = await store.pepper(clock.nowMs());
  const ephemeral = new Map<string, Recognised>();
  let stored: readonly StoredKey[] = [];
  let recognised = new Map<string, Recognised>();
  /** Keys whose revocation has been told. */
  const told = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | null = null;

  const startedAtMs = clock.nowMs();
  const startedMonotonicMs = clock.monotonicMs();
  let latestMs = startedAtMs;

  /**
   * Wall time that never goes back: somebody who sets the machine's clock must not bring ended keys back to life.
   * In whole milliseconds: the monotonic clock has fractions, which the database refuses.
   */
  function now(): number {
    const elapsedMs = Math.floor(clock.monotonicMs() - startedMonotonicMs);
    latestMs = Math.max(latestMs, clock.nowMs(), startedAtMs + elapsedMs);
    return latestMs;
  }

  /** The time to write down for an end that is now. Not ahead of the clock, which the next start will go by. */
  const atOnce = () => Math.min(now(), clock.nowMs());

  const hashOf = (plain: string): Buffer => new Bun.CryptoHasher('sha256', pepper).update(plain).digest();
  const nobody = hashOf('no such key');

  /** Ends that the owner wants and the database could not take, by the key's id. */
  const unwritten = new Map<string, number>();

  let turn: Promise<unknown> = Promise.resolve();

  /** One change after the other: each is made of what the one before has left, and a revoked key stays revoked. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  async function reload(): Promise<void> {
    use(await store.list());
  }

  function use(rows: readonly StoredKey[]): void {
    stored = rows.map((key) => ({ ...key, revokedAtMs: unwritten.get(key.id) ?? key.revokedAtMs }));
    recognised = new Map(stored.map((key) => [key.id, recognisedOf(key)]));
  }

  /**
   * Says which keys have ended since the last look, so that their streams end too. A key ends on its own when it
   * expires or its grace is over: then it looks again.
   */
  function tellEnds(): void {
    if (timer !== null) clearTimeout(timer);
    const nowMs = now();
    let nextMs = NEVER;
    for (const key of stored) {
      const { id } = key;
      const endsAtMs = endOf(key);
      if (endsAtMs === NEVER || told.has(id)) continue;
      if (endsAtMs > nowMs) nextMs = Math.min(nextMs, endsAtMs);
      else {
        told.add(id);
        bus.publish({ name: 'key.revoked', keyId: id });
      }
    }
    if (nextMs === NEVER) return;
    timer = setTimeout(tellEnds, Math.min(nextMs - nowMs, MAX_TIMER_MS));
    timer.unref();
  }

  function requireUsable(id: string): StoredKey {
    const key = stored.find((candidate) => candidate.id === id);
    if (key === undefined) throw new FlmError('KEY_NOT_FOUND', { meta: { id } });
    if (key.revokedAtMs !== null && key.revokedAtMs <= now()) {
      throw new FlmError('KEY_ALREADY_REVOKED', { meta: { id } });
    }
    return key;
  }

  function newKey(
    input: KeyInput,
    rotatedFrom: string | null,
    isUncollected = false,
  ): { key: StoredKey; created: CreatedKey } {
    const { id, plain } = makeKey();
    const createdAtMs = now();
    const key: StoredKey = {
      id,
      label: input.label,
      hash: hashOf(plain),
      scopes: input.scopes ?? ['inference'],
      models: input.models ?? null,
      createdAtMs,
      expiresAtMs: input.expires_in_s === undefined ? null : createdAtMs + input.expires_in_s * 1_000,
      revokedAtMs: null,
      rotatedFrom,
      terms: termsOf(input),
      isUncollected,
    };
    return { key, created: createdView(key, plain) };
  }

  /** A key that takes the place of another and is like it. */
  function successorOf(old: StoredKey, label: string, isUncollected: boolean) {
    const lifetimeMs = old.expiresAtMs === null ? null : old.expiresAtMs - old.createdAtMs;
    const { key, created } = newKey(
      {
        label,
        scopes: [...old.scopes],
        ...(old.models === null ? {} : { models: [...old.models] }),
        // A key that was made for 90 days is replaced by one for 90 days.
        ...(lifetimeMs === null ? {} : { expires_in_s: Math.max(1, Math.round(lifetimeMs / 1_000)) }),
      },
      old.id,
      isUncollected,
    );
    return { key: { ...key, terms: old.terms }, created };
  }

  /** The key that waits to be collected in the place of one, or null. */
  function waitingFor(id: string): StoredKey | null {
    for (let key = stored.find((each) => each.id === id); key !== undefined; ) {
      if (key.isUncollected && statusOf(key, now()) === 'active') return key;
      const { id: oldId } = key;
      key = stored.find((each) => each.rotatedFrom === oldId);
    }
    return null;
  }

  await reload();
  for (const key of stored) if (statusOf(key, now()) !== 'active') told.add(key.id); // before this process
  tellEnds();

  return {
    identify(authorization) {
      if (authorization === null || authorization === '') return refused('missing_authorization_header');
      const plain = BEARER.exec(authorization)?.[1];
      if (plain === undefined) return refused('invalid_authorization_format');
      const id = keyIdOf(plain);
      if (id === null) return refused('mistyped_api_key');
      const key = recognised.get(id) ?? ephemeral.get(id);
      // Compare digests, not keys: equal lengths keep timingSafeEqual from throwing. An unknown id costs the same.
      const matches = timingSafeEqual(hashOf(plain), key?.hash ?? nobody);
      if (key === undefined || !matches) return refused('invalid_or_revoked_api_key');
      // The client is told the same. Who counts guesses has to know that this is none.
      if (key.endsAtMs <= now()) return refused('ended_api_key');
      return key.identified;
    },

    rulesOf: ({ id }) => (recognised.get(id) ?? ephemeral.get(id))?.rules ?? null,

    anyUsable: () => stored.some((key) => statusOf(key, now()) === 'active'),

    issueEphemeral(label, ttlMs) {
      const nowMs = now();
      for (const [id, key] of ephemeral) if (key.endsAtMs <= nowMs) ephemeral.delete(id);
      const { key, created } = newKey({ label }, null);
      ephemeral.set(key.id, { ...recognisedOf(key), rules: OWNER_RULES, endsAtMs: nowMs + ttlMs });
      return { plain: created.plain_key };
    },

    refresh: () =>
      inTurn(async () => {
        await reload();
        tellEnds();
      }),

    async list() {
      return { items: stored.map((key) => viewOf(key, now())), next: null };
    },

    create: (input) =>
      inTurn(async () => {
        const { key, created } = newKey(input, null);
        await store.insert(key);
        await reload();
        bus.publish({ name: 'key.created', keyId: key.id, label: key.label });
        tellEnds();
        return created;
      }),

    rotate: (id, { label, grace_s: graceSeconds = 0 }) =>
      inTurn(async () => {
        const old = requireUsable(id);
        const { key, created } = successorOf(old, label ?? old.label, false);
        const wantedMs = graceSeconds === 0 ? atOnce() : now() + graceSeconds * 1_000;
        const endsAtMs = Math.min(wantedMs, old.revokedAtMs ?? NEVER);
        await store.replace(id, endsAtMs, key, null);
        await reload();
        bus.publish({ name: 'key.created', keyId: key.id, label: key.label });
        tellEnds();
        return { ...created, old_key_id: id, old_key_valid_until: iso(endsAtMs) };
      }),

    update: (id, change) =>
      inTurn(async () => {
        const old = requireUsable(id);
        const key: StoredKey = {
          ...old,
          label: change.label ?? old.label,
          models: change.models === undefined ? old.models : change.models,
          terms: termsOf(change, old.terms),
        };
        await store.update(key, Object.keys(change));
        await reload();
        return viewOf(key, now());
      }),

    rotateDue: () =>
      inTurn(async () => {
        const nowMs = now();
        const due = stored.filter((key) => isDue(key, nowMs));
        for (const old of due) {
          const { key, created } = successorOf(old, old.label, true);
          // What nobody has fetched, nobody uses.
          const graceMs = old.isUncollected ? 0 : (old.terms.rotateGraceMs ?? 0);
          await store.replace(old.id, graceMs === 0 ? atOnce() : now() + graceMs, key, created.plain_key);
          bus.publish({ name: 'key.created', keyId: key.id, label: key.label });
        }
        if (due.length === 0) return 0;
        await reload();
        tellEnds();
        return due.length;
      }),

    collect: (id) =>
      inTurn(async () => {
        if (!stored.some((key) => key.id === id)) throw new FlmError('KEY_NOT_FOUND', { meta: { id } });
        const key = waitingFor(id);
        const plain = key === null ? null : await store.collect(key.id);
        if (key === null || plain === null) throw new FlmError('KEY_NOT_WAITING', { meta: { id } });
        await reload();
        return createdView(key, plain);
      }),

    revoke: (id) =>
      inTurn(async () => {
        const atMs = unwritten.get(id) ?? atOnce();
        if (!unwritten.has(id)) requireUsable(id);
        try {
          await store.revoke(id, atMs);
        } catch (error) {
          // Somebody else may have the key, and a full disk is no reason to go on serving them.
          unwritten.set(id, atMs);
          use(stored);
          tellEnds();
          throw notWritten(id, error);
        }
        unwritten.delete(id);
        await reload();
        tellEnds();
        return { id, revoked: true };
      }),

    close() {
      if (timer !== null) clearTimeout(timer);
    },
  };
}

function notWritten(id: string, cause: unknown): FlmError {
  const hint = `An FLM that runs refuses the key from now on, but after its next start the key would work again. Make room on the disk, then once more: flm api-keys revoke ${id}`;
  return new FlmError('DB_ERROR', { meta: { file: 'security.db', reason: reasonOf(cause) }, cause, hint });
}

function refused(refusal: Refusal): Identified {
  return { principal: null, refusal };
}

function recognisedOf(key: StoredKey): Recognised {
  const principal: Principal = {
    kind: 'key',
    id: key.id,
    label: key.label,
    scopes: new Set<Scope>(key.scopes),
    models: key.models,
  };
  return {
    hash: key.hash,
    rules: rulesFor(key.id, key.terms),
    identified: { principal, refusal: null },
    endsAtMs: endOf(key),
  };
}

/** When it ends, by itself or by its owner. */
function endOf({ expiresAtMs, revokedAtMs }: StoredKey): number {
  return Math.min(expiresAtMs ?? NEVER, revokedAtMs ?? NEVER);
}

function statusOf(key: StoredKey, nowMs: number): ApiKey['status'] {
  if (key.revokedAtMs !== null && key.revokedAtMs <= nowMs) return 'revoked';
  return key.expiresAtMs !== null && key.expiresAtMs <= nowMs ? 'expired' : 'active';
}

function viewOf(key: StoredKey, nowMs: number): ApiKey {
  return {
    id: key.id,
    label: key.label,
    status: statusOf(key, nowMs),
    scopes: [...key.scopes],
    models: key.models === null ? null : [...key.models],
    created_at: iso(key.createdAtMs),
    expires_at: isoOrNull(key.expiresAtMs),
    revoked_at: isoOrNull(key.revokedAtMs),
    rotated_from: key.rotatedFrom,
    ...termsView(key.terms),
    is_uncollected: key.isUncollected && statusOf(key, nowMs) === 'active',
  };
}

function createdView(key: StoredKey, plain: string): CreatedKey {
  return {
    id: key.id,
    label: key.label,
    plain_key: plain,
    scopes: [...key.scopes],
    models: key.models === null ? null : [...key.models],
    created_at: iso(key.createdAtMs),
    expires_at: isoOrNull(key.expiresAtMs),
    ...termsView(key.terms),
  };
}

/** Whether a key is to be replaced by itself. One that ends anyway is left to its end. */
function isDue(key: StoredKey, nowMs: number): boolean {
  const { rotateEveryMs } = key.terms;
  if (rotateEveryMs === null || key.revokedAtMs !== null || statusOf(key, nowMs) !== 'active') return false;
  return nowMs - key.createdAtMs >= rotateEveryMs;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}
