/**
 * Whose certificates clients of a proxy may show: the authorities in one file, what they have taken back in another, and single
 * certificates that the owner no longer wants. Files are read again when they change; one that cannot be read changes nothing.
 */
import type { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { ClientCertificate, ClientTrust, Clock } from '../../src/contract';
import { FlmError, reasonOf } from '../../src/lib/errors';
import type { Log } from '../../src/lib/log';
import { commonNameOf, datesOf, idOf, readCertificate } from '../certificate';
import { loadRevocationLists } from './load';
import { type Link, linksOf, objectionTo, readAuthorities, type Trust } from './trust';

export interface ClientTrustOptions {
  /** PEM: roots, and authorities between them and clients. */
  readonly authoritiesFile: string;
  /** PEM: a revocation list of each of them; null: none is held against any. */
  readonly revocationFile: string | null;
  /** SHA-256 of certificates that are not accepted whoever vouches for them: 64 hexadecimal digits each. */
  readonly revoked: () => readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly lookMs?: number;
}

interface Walked {
  readonly certificate: X509Certificate;
  readonly links: readonly Link[];
  readonly under: Trust;
}

/** As soon as a key that is revoked stops working. */
const LOOK_MS = 2_000;
/** A day is enough to write a list, and less than most are good for. */
const SOON_MS = 24 * 3_600_000;
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const MAX_SUBJECT = 300;
const MAX_NAMES = 20;

/** @throws PROXY_INVALID_CONFIG when a file cannot be used */
export async function openClientTrust(options: ClientTrustOptions): Promise<ClientTrust> {
  const { authoritiesFile, revocationFile, revoked, clock, log, lookMs = LOOK_MS } = options;
  const listeners = new Set<() => void>();
  /** What `verify` gave out. Walking its way to a root takes signatures, so it is done once under each trust. */
  const given = new WeakMap<ClientCertificate, Walked>();
  let trust = await read();
  let marks = await marksOf();
  let told = revoked();
  let seen = told;
  let revokedIds: ReadonlySet<string> = new Set(seen);
  let problem: string | null = null;
  const warned = new Set<number>();
  let isClosed = false;

  async function read(): Promise<Trust> {
    const authoritiesPem = await textOf('client authorities', authoritiesFile);
    const authorities = naming(authoritiesFile, () => readAuthorities(authoritiesPem));
    if (revocationFile === null) return { authoritiesPem, authorities, lists: null };
    const text = await textOf('revocation lists', revocationFile);
    const { readRevocationLists } = await loadRevocationLists();
    const lists = await readRevocationLists(text, authorities).catch((error: unknown) => {
      throw inFile(revocationFile, error);
    });
    return { authoritiesPem, authorities, lists };
  }

  async function marksOf(): Promise<string> {
    const files = revocationFile === null ? [authoritiesFile] : [authoritiesFile, revocationFile];
    const marks = files.map(async (file) => {
      const { ino, size, mtimeMs } = await stat(file).catch(() => ({ ino: 0, size: 0, mtimeMs: 0 }));
      return `${ino} ${size} ${mtimeMs}`;
    });
    return (await Promise.all(marks)).join();
  }

  /** Whoever forgets to write a new list shuts everybody out. */
  function warn(): void {
    for (const [authority, { nextUpdateMs }] of trust.lists ?? []) {
      const isSoon = nextUpdateMs !== null && nextUpdateMs - clock.nowMs() <= SOON_MS;
      if (!isSoon || warned.has(nextUpdateMs)) continue;
      warned.add(nextUpdateMs);
      log.warn('a revocation list of client certificates runs out, and then nobody is let in by it', {
        authority: commonNameOf(authority),
        expiresAt: new Date(nextUpdateMs).toISOString(),
      });
    }
  }

  async function look(): Promise<void> {
    warn();
    const now = await marksOf();
    const isSame = now === marks;
    if (isSame && revoked() === told) return;
    told = revoked();
    if (!isSame) await readAgain(now);
    for (const listener of listeners) listener();
  }

  async function readAgain(now: string): Promise<void> {
    try {
      trust = await read();
      marks = now;
      problem = null;
      log.info('the files of client certificates were read again', { authoritiesFile });
    } catch (error) {
      // Somebody may be about to write it. It is tried again each time, and told once.
      marks = '';
      if (problem !== reasonOf(error))
        log.error('client certificates are held against what was read before', { error });
      problem = reasonOf(error);
    }
  }

  function isRevoked(id: string): boolean {
    const now = revoked();
    if (now !== seen) {
      seen = now;
      revokedIds = new Set(now);
    }
    return revokedIds.has(id);
  }

  function objection({ certificate, links }: Walked, id: string): string | null {
    return isRevoked(id) ? 'it is revoked' : objectionTo(certificate, links, trust, clock.nowMs());
  }

  let timer = setTimeout(step, lookMs);
  timer.unref();
  function step(): void {
    void look()
      .catch((error: unknown) =>
        log.error('the files of client certificates could not be looked at', { error }),
      )
      .finally(() => {
        if (isClosed) return;
        timer = setTimeout(step, lookMs);
        timer.unref();
      });
  }

  return {
    authoritiesPem: () => trust.authoritiesPem,
    verify(der) {
      const certificate = readCertificate(der);
      const fingerprint = idOf(der);
      const walked = { certificate, links: linksOf(certificate, trust), under: trust };
      const reason = objection(walked, fingerprint);
      if (reason !== null) throw new FlmError('CLIENT_CERTIFICATE_REFUSED', { meta: { reason } });
      const { notAfterMs } = datesOf(certificate);
      const subject = certificate.subject.split('\n').join(', ').slice(0, MAX_SUBJECT);
      const names = (certificate.subjectAltName?.split(', ') ?? []).slice(0, MAX_NAMES);
      const verified: ClientCertificate = { fingerprint, subject, names, notAfterMs };
      given.set(verified, walked);
      return verified;
    },
    objectionTo(verified) {
      let walked = given.get(verified);
      if (walked === undefined || walked.under.authoritiesPem !== trust.authoritiesPem)
        return 'other authorities count since it was shown';
      if (walked.under !== trust) {
        walked = { ...walked, links: linksOf(walked.certificate, trust), under: trust };
        given.set(verified, walked);
      }
      return objection(walked, verified.fingerprint);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

async function textOf(what: string, file: string): Promise<string> {
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES) throw new Error('it is too large');
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = `the file of ${what} cannot be read: ${reasonOf(error)}`;
    throw new FlmError('PROXY_INVALID_CONFIG', { meta: { reason }, cause: error });
  }
}

function naming<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw inFile(file, error);
  }
}

function inFile(file: string, error: unknown): FlmError {
  const problem = error instanceof FlmError ? String(error.meta.reason) : reasonOf(error);
  return new FlmError('PROXY_INVALID_CONFIG', { meta: { reason: `${file}: ${problem}` }, cause: error });
}
