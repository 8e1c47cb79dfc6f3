/**
 * The certificates of this installation: what the private authorities make and what the owner brings, kept up to date under
 * one timer, and handed to listeners as a source that is asked once per handshake.
 */
import type { TlsContextSource, TlsMaterial } from '../src/contract';
import { FlmError } from '../src/lib/errors';
import { parseIp } from '../src/lib/ip';
import type { Log } from '../src/lib/log';
import { type Authority, type AuthorityOptions, createAuthority } from './authority';
import { commonNameOf, datesOf, fingerprintOf, pemOf, readCertificate } from './certificate';
import { type Choice, choiceAmong } from './choose';
import { readManual } from './manual/read';
import {
  AUTHORITY_MODES,
  type AuthorityMode,
  type CertificateView,
  type Certs,
  type CertsContext,
  type Expiry,
  type Finding,
  type RootView,
} from './model';
import { divide, namesOf, OWN_NAME, parseName, permittedFor } from './names';
import type { CertStore, StoredCertificate, StoredRoot } from './store';
import { createTrustPage } from './trust-page';

/** What the room is made of. */
export interface CertsOptions extends CertsContext, Pick<AuthorityOptions, 'machine' | 'configured'> {
  readonly store: CertStore;
  readonly log: Log;
}

/** How often the machine's names and the clocks are compared with what they were. */
const LOOK_MS = 10_000;
/** How often certificates are examined although nothing seems to have changed. */
const EXAMINE_MS = 600_000;
/** The two clocks part by less than this unless somebody sets one of them, or the machine slept. */
const JUMP_MS = 60_000;
const DAY_MS = 86_400_000;
/** From here on whoever brought a certificate is told that it ends. */
const SOON_MS = 14 * DAY_MS;
/** Trusting a new root takes time on every device. */
const ROOT_SOON_MS = 180 * DAY_MS;
const OVERLAP_S = 30 * 86_400;

/** What a listener is handed, and what of it changes. */
interface Source extends TlsContextSource {
  /** Whether a certificate holds that name or address. */
  holds(name: string): boolean;
  use(leaves: readonly StoredCertificate[]): void;
  tell(): void;
}

/**
 * The room over its store. From now on it looks at the machine every ten seconds, until `close`.
 * @throws what the database throws
 */
export async function createCerts(options: CertsOptions): Promise<Certs> {
  const { store, clock, isOwner, log, machine, configured } = options;
  const authorities = {
    'packaged-ca': createAuthority({ ...options, mode: 'packaged-ca' }),
    'dev-selfsigned': createAuthority({ ...options, mode: 'dev-selfsigned' }),
  } as const satisfies Record<AuthorityMode, Authority>;
  const sources = new Map<AuthorityMode, Source>();
  let roots: readonly StoredRoot[] = [];
  let certificates: readonly StoredCertificate[] = [];
  /** Made once each: listeners keep what they make of them. */
  let materials = new Map<string, TlsMaterial>();
  let manual: Choice = choiceAmong([]);
  /** Those of the owner that have expired: shown only where there is no other for the name. */
  let ended: Choice = choiceAmong([]);
  let turn: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  await reload();

  /** One after the other: two changes must not both find that nothing is there yet. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = turn.then(work, work);
    turn = result.catch(() => {});
    return result;
  }

  async function reload(): Promise<void> {
    [roots, certificates] = await Promise.all([store.roots(), store.certificates()]);
    // Where two have a name, the one that is good for longer.
    const brought = certificates.filter(({ mode }) => mode === 'manual').toReversed();
    const nowMs = clock.nowMs();
    materials = new Map(
      brought.map((certificate) => [
        certificate.id,
        materials.get(certificate.id) ?? materialOf(certificate),
      ]),
    );
    const all = [...materials.values()];
    manual = choiceAmong(all.filter(({ notAfterMs }) => notAfterMs > nowMs));
    ended = choiceAmong(all.filter(({ notAfterMs }) => notAfterMs <= nowMs));
  }

  async function examine(): Promise<void> {
    if (isClosed || !isOwner()) return;
    for (const [mode, source] of sources) source.use(await authorities[mode].leaves());
    const nowMs = clock.nowMs();
    for (const certificate of certificates) {
      const { mode, notAfterMs, expiryToldAtMs, names } = certificate;
      if (mode !== 'manual' || expiryToldAtMs !== null || notAfterMs - nowMs > SOON_MS) continue;
      await store.tellExpiry(certificate, nowMs);
      log.warn('a certificate ends soon', { names, expiresAt: new Date(notAfterMs).toISOString() });
    }
    await reload();
  }

  function openSource(): Source {
    const listeners = new Set<() => void>();
    let own: Choice = choiceAmong([]);
    let shown: readonly TlsMaterial[] = [];
    let ids = '';
    return {
      contextFor(serverName, address) {
        const found =
          (serverName === OWN_NAME ? own.find(serverName, null) : null) ??
          manual.find(serverName, address) ??
          own.find(serverName, address) ??
          ended.find(serverName, address) ??
          otherwise(shown, serverName);
        if (found === undefined)
          throw new FlmError('INTERNAL_ERROR', { cause: new Error('no leaf was made') });
        return found;
      },
      holds: (name) => own.find(name, null) !== null,
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      use(leaves) {
        const now = leaves.map(({ id, chainPem }) => `${id} ${chainPem.length}`).join();
        if (now === ids) return;
        ids = now;
        shown = leaves.map(materialOf);
        own = choiceAmong(shown);
        this.tell();
      },
      tell() {
        for (const listener of listeners) listener();
      },
    };
  }

  const lookAgain = { names: '', driftMs: 0, dueMs: 0 };

  /** Cheap: most of the time nothing has changed. */
  function look(): void {
    const names = JSON.stringify(namesOf(machine(), configured()));
    const monotonicMs = clock.monotonicMs();
    const driftMs = clock.nowMs() - monotonicMs;
    const isSame = names === lookAgain.names && Math.abs(driftMs - lookAgain.driftMs) < JUMP_MS;
    if (isSame && monotonicMs < lookAgain.dueMs) return;
    Object.assign(lookAgain, { names, driftMs, dueMs: monotonicMs + EXAMINE_MS });
    inTurn(examine).catch((error: unknown) => log.error('certificates could not be examined', { error }));
  }

  const timer = setInterval(look, LOOK_MS);
  timer.unref();

  function rootStatus({ id, privateKey }: StoredRoot): RootView['status'] {
    if (privateKey !== null) return 'current';
    return successorOf(id) === undefined ? 'ended' : 'ending';
  }

  /** The root that still has a bridge to that one. */
  function successorOf(id: string): StoredRoot | undefined {
    return roots.find(({ bridge }) => bridge?.from === id && clock.nowMs() < bridge.endsAtMs);
  }

  function rootView(root: StoredRoot): RootView {
    const { id, mode, certificate: der, permitted, createdAtMs } = root;
    const certificate = readCertificate(der);
    const endsAtMs = successorOf(id)?.bridge?.endsAtMs;
    return {
      mode,
      status: rootStatus(root),
      common_name: commonNameOf(certificate),
      fingerprint: fingerprintOf(id),
      fingerprint_sha1: certificate.fingerprint.replaceAll(':', ''),
      created_at: iso(createdAtMs),
      expires_at: iso(datesOf(certificate).notAfterMs),
      served_until: endsAtMs === undefined ? null : iso(endsAtMs),
      permitted_names: [...permitted.dns, ...permitted.networks],
      certificate_pem: pemOf('CERTIFICATE', der),
    };
  }

  function currentRoot(mode: AuthorityMode): StoredRoot | null {
    return roots.find((root) => root.mode === mode && root.privateKey !== null) ?? null;
  }

  function coverage(): { readonly covered: string[]; readonly outside: string[] } {
    const names = namesOf(machine(), configured());
    const root = currentRoot('packaged-ca') ?? currentRoot('dev-selfsigned');
    return root === null ? { covered: [], outside: [] } : divide(names, root.permitted);
  }

  return {
    async list() {
      return { items: certificates.map((certificate) => viewOf(certificate, clock.nowMs())), next: null };
    },

    import: (input) =>
      inTurn(async () => {
        const nowMs = clock.nowMs();
        const read = readManual(input, nowMs);
        const known = certificates.find(({ id }) => id === read.id);
        if (known !== undefined) return viewOf(known, nowMs);
        const added = {
          ...read,
          mode: 'manual',
          authorityId: null,
          createdAtMs: nowMs,
          expiryToldAtMs: null,
        } as const;
        await store.addManual(added);
        await reload();
        for (const source of sources.values()) source.tell();
        return viewOf(added, nowMs);
      }),

    remove: (id) =>
      inTurn(async () => {
        const known = certificates.find(
          (certificate) => certificate.id === id && certificate.mode === 'manual',
        );
        if (known === undefined) throw new FlmError('CERTIFICATE_NOT_FOUND', { meta: { id } });
        await store.removeManual(known);
        await reload();
        for (const source of sources.values()) source.tell();
        return { id, removed: true };
      }),

    async status() {
      const { covered, outside } = coverage();
      return { roots: roots.map(rootView), names: covered, names_outside: outside };
    },

    createCa: ({ mode = 'packaged-ca' }) =>
      inTurn(async () => {
        const root = await authorities[mode].ensureRoot();
        await reload();
        return rootView(root);
      }),

    rotateCa: ({ mode = 'packaged-ca', overlap_s: overlap = OVERLAP_S }) =>
      inTurn(async () => {
        const root = await authorities[mode].rotate(overlap * 1_000);
        await reload();
        await examine();
        return rootView(root);
      }),

    async source(mode) {
      return inTurn(async () => {
        const source = sources.get(mode) ?? openSource();
        source.use(await authorities[mode].leaves());
        sources.set(mode, source);
        await reload();
        return source;
      });
    },

    certifies(mode, host) {
      const name = parseName(host);
      if (name === null) return false;
      if (manual.find(name, null) !== null) return true;
      const source = sources.get(mode);
      if (source !== undefined) return source.holds(name);
      const permitted = currentRoot(mode)?.permitted ?? permittedFor(machine(), configured());
      return divide(namesOf(machine(), configured()), permitted).covered.includes(name);
    },

    trustPage: (mode) =>
      createTrustPage(() => {
        const root = currentRoot(mode);
        return root === null ? null : rootView(root);
      }),

    expiries: () => [
      ...AUTHORITY_MODES.flatMap((mode) => currentRoot(mode) ?? []).map(rootExpiry),
      ...certificates.map(({ mode, id, names, notAfterMs }) => ({
        kind: mode,
        id,
        domain: names[0] ?? '',
        notAfterMs,
      })),
    ],

    findings() {
      const nowMs = clock.nowMs();
      const ofRoots = AUTHORITY_MODES.flatMap((mode) => currentRoot(mode) ?? []).flatMap((root) =>
        rootFinding(rootView(root), nowMs),
      );
      const ofManual = certificates
        .filter(({ mode }) => mode === 'manual')
        .flatMap((certificate) => manualFinding(viewOf(certificate, nowMs)));
      const wanted = namesOf({ hostname: '', hosts: '', addresses: [] }, configured());
      const missed = coverage().outside.filter((name) => wanted.includes(name));
      return [...ofRoots, ...ofManual, ...missed.map(missedFinding)];
    },

    look,
    check: () => inTurn(examine),

    async close() {
      isClosed = true;
      clearInterval(timer);
      await turn;
    },
  };
}

/** For a name that nobody has: the leaf of names. Who asks for none has come to an address. */
function otherwise(leaves: readonly TlsMaterial[], serverName: string | null): TlsMaterial | undefined {
  const hasAddress = ({ names }: TlsMaterial) => names.some((name) => parseIp(name) !== null);
  return serverName === null ? (leaves.find(hasAddress) ?? leaves[0]) : leaves[0];
}

/** As the admin API tells it, without its key. */
function viewOf(stored: StoredCertificate, nowMs: number): CertificateView {
  const { id, mode, chainPem, names, notBeforeMs, notAfterMs, createdAtMs } = stored;
  const leftMs = notAfterMs - nowMs;
  return {
    id,
    mode,
    domain: names[0] ?? '',
    names: [...names],
    fingerprint: fingerprintOf(id),
    issuer: issuerOf(chainPem),
    status: leftMs <= 0 ? 'expired' : leftMs <= SOON_MS ? 'expiring' : 'valid',
    not_before: iso(notBeforeMs),
    expires_at: iso(notAfterMs),
    updated_at: iso(createdAtMs),
  };
}

function issuerOf(chainPem: string): string {
  const { issuer } = readCertificate(chainPem);
  return /^CN=(.*)$/m.exec(issuer)?.[1] ?? issuer.replaceAll('\n', ', ');
}

function materialOf({ id, chainPem, privateKey, names, notAfterMs }: StoredCertificate): TlsMaterial {
  return { id, certificatePem: chainPem, privateKeyPem: pemOf('PRIVATE KEY', privateKey), names, notAfterMs };
}

function rootExpiry({ id, certificate }: StoredRoot): Expiry {
  const read = readCertificate(certificate);
  return { kind: 'root', id, domain: commonNameOf(read), notAfterMs: datesOf(read).notAfterMs };
}

function rootFinding({ common_name: name, expires_at: end }: RootView, nowMs: number): Finding[] {
  const leftMs = Date.parse(end) - nowMs;
  if (leftMs > ROOT_SOON_MS) return [];
  const what = leftMs <= 0 ? 'has ended, and clients trust it no longer' : `ends on ${end.slice(0, 10)}`;
  return [
    {
      level: leftMs <= 0 ? 'error' : 'warning',
      message: `the root "${name}" ${what}: flm security ca rotate`,
    },
  ];
}

function manualFinding({ domain, status, expires_at: end }: CertificateView): Finding[] {
  if (status === 'valid') return [];
  const what = status === 'expired' ? 'has expired' : `ends on ${end.slice(0, 10)}`;
  return [
    {
      level: status === 'expired' ? 'error' : 'warning',
      message: `the certificate of ${domain} ${what}: flm security certificates import`,
    },
  ];
}

function missedFinding(name: string): Finding {
  return {
    level: 'warning',
    message: `the root may not vouch for ${name}, which certs.names has: flm security ca rotate`,
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
