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

/** Why somebody was not recognised (FLM-108). */
export type Refusal = RefusalReason;

export type Identified =
  | { readonly principal: Principal; readonly refusal: null }
  | { readonly principal: null; readonly refusal: Refusal };

export interface Keys extends KeysApi {
  /** Who the Authorization header says is asking. Takes microseconds, reads nothing, throws nothing. */
  identify(authorization: string | null): Identified;
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

  function newKey(input: KeyInput, rotatedFrom: string | null): { key: StoredKey; created: CreatedKey } {
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
    };
    const created = {
      id,
      label: key.label,
      plain_key: plain,
      scopes: [...key.scopes],
      models: key.models === null ? null : [...key.models],
      created_at: iso(createdAtMs),
      expires_at: isoOrNull(key.expiresAtMs),
    };
    return { key, created };
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

    anyUsable: () => stored.some((key) => statusOf(key, now()) === 'active'),

    issueEphemeral(label, ttlMs) {
      const nowMs = now();
      for (const [id, key] of ephemeral) if (key.endsAtMs <= nowMs) ephemeral.delete(id);
      const { key, created } = newKey({ label }, null);
      ephemeral.set(key.id, { ...recognisedOf(key), endsAtMs: nowMs + ttlMs });
      return { plain: created.plain_key };
    },

    async refresh() {
      await reload();
      tellEnds();
    },

    async list() {
      return { items: stored.map((key) => viewOf(key, now())), next: null };
    },

    async create(input) {
      const { key, created } = newKey(input, null);
      await store.insert(key);
      await reload();
      bus.publish({ name: 'key.created', keyId: key.id, label: key.label });
      tellEnds();
      return created;
    },

    async rotate(id, { label, grace_s: graceSeconds = 0 }) {
      const old = requireUsable(id);
      const lifetimeMs = old.expiresAtMs === null ? null : old.expiresAtMs - old.createdAtMs;
      const { key, created } = newKey(
        {
          label: label ?? old.label,
          scopes: [...old.scopes],
          ...(old.models === null ? {} : { models: [...old.models] }),
          // A key that was made for 90 days is replaced by one for 90 days.
          ...(lifetimeMs === null ? {} : { expires_in_s: Math.max(1, Math.round(lifetimeMs / 1_000)) }),
        },
        id,
      );
      const wantedMs = graceSeconds === 0 ? atOnce() : now() + graceSeconds * 1_000;
      const endsAtMs = Math.min(wantedMs, old.revokedAtMs ?? NEVER);
      await store.replace(id, endsAtMs, key);
      await reload();
      bus.publish({ name: 'key.created', keyId: key.id, label: key.label });
      tellEnds();
      return { ...created, old_key_id: id, old_key_valid_until: iso(endsAtMs) };
    },

    async revoke(id) {
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
    },

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
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}
