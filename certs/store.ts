/** The certificate_authorities and certificates tables of security.db. Keys leave it only towards what signs or serves. */
import { and, desc, eq, isNotNull, isNull, notInArray, sql } from 'drizzle-orm';
import { type SecurityDb, securitySchema } from '../db';
import type { AuditWriter } from '../src/contract';
import { isRecord, parseJson } from '../src/lib/json';
import { AUTHORITY_MODES, type AuthorityMode, CERTIFICATE_MODES, type CertificateMode } from './model';
import type { Permitted } from './names';

/** A root as it lies in the database. */
export interface StoredRoot {
  readonly id: string;
  readonly mode: AuthorityMode;
  /** DER. */
  readonly certificate: Buffer;
  /** PKCS#8; null for roots that sign no more. */
  readonly privateKey: Buffer | null;
  readonly permitted: Permitted;
  readonly bridge: Bridge | null;
  readonly createdAtMs: number;
}

/** How clients that trust only the root before come to this one. */
export interface Bridge {
  /** DER. */
  readonly certificate: Buffer;
  readonly from: string;
  readonly endsAtMs: number;
}

/** A certificate with its key, made by an authority or brought by the owner. Times in milliseconds UTC. */
export interface StoredCertificate {
  readonly id: string;
  readonly mode: CertificateMode;
  readonly chainPem: string;
  /** PKCS#8. */
  readonly privateKey: Buffer;
  readonly names: readonly string[];
  readonly authorityId: string | null;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly createdAtMs: number;
  readonly expiryToldAtMs: number | null;
}

/** Each change is put on record with it. */
export interface CertStore {
  /** All roots: those that sign first, then the newest. */
  roots(): Promise<readonly StoredRoot[]>;
  certificates(): Promise<readonly StoredCertificate[]>;
  /** Takes a root into use. Those before it in its mode cannot sign any more: their keys are gone. */
  addRoot(root: StoredRoot): Promise<void>;
  /** Clients that trust only the root before this one are served no longer. */
  endBridge(root: StoredRoot): Promise<void>;
  /** Replaces what an authority has made: what is not in `keep` goes, `fresh` is added. */
  replaceLeaves(
    mode: AuthorityMode,
    keep: readonly string[],
    fresh: readonly StoredCertificate[],
  ): Promise<void>;
  addManual(certificate: StoredCertificate): Promise<void>;
  removeManual(certificate: StoredCertificate): Promise<void>;
  /** Puts on record that a certificate ends soon, once. */
  tellExpiry(certificate: StoredCertificate, atMs: number): Promise<void>;
}

/** The store over security.db; each change and its audit row commit together. */
export function createCertStore(db: SecurityDb, audit: AuditWriter): CertStore {
  const { certificateAuthorities: roots, certificates } = securitySchema;
  return {
    async roots() {
      const rows = db
        .select()
        .from(roots)
        .orderBy(isNull(roots.privateKey), desc(roots.createdAtMs), desc(sql`rowid`))
        .all();
      return rows.flatMap(rootOf);
    },

    async certificates() {
      const rows = db.select().from(certificates).orderBy(certificates.notAfterMs, certificates.id).all();
      return rows.flatMap(certificateOf);
    },

    async addRoot(root) {
      const { permitted, bridge, ...row } = root;
      db.transaction((tx) => {
        const old = tx
          .select({ id: roots.id })
          .from(roots)
          .where(and(eq(roots.mode, root.mode), isNotNull(roots.privateKey)))
          .get();
        tx.update(roots)
          .set({ privateKey: null, bridge: null, bridgeEndsAtMs: null })
          .where(eq(roots.mode, root.mode))
          .run();
        tx.insert(roots)
          .values({
            ...row,
            permittedJson: JSON.stringify(permitted),
            bridge: bridge?.certificate ?? null,
            bridgeFrom: bridge?.from ?? null,
            bridgeEndsAtMs: bridge?.endsAtMs ?? null,
          })
          .run();
        const details = {
          mode: root.mode,
          permitted,
          ...(old === undefined ? {} : { replaces: old.id }),
          ...(bridge === null ? {} : { old_served_until: iso(bridge.endsAtMs) }),
        };
        const type = old === undefined ? 'ca.created' : 'ca.rotated';
        audit.write({ type, severity: 'high', target: `ca:${root.id}`, details });
      });
    },

    async endBridge({ id, mode, bridge }) {
      if (bridge === null) return;
      db.transaction((tx) => {
        tx.update(roots).set({ bridge: null, bridgeEndsAtMs: null }).where(eq(roots.id, id)).run();
        const details = { mode, replaced_by: id };
        audit.write({ type: 'ca.retired', severity: 'medium', target: `ca:${bridge.from}`, details });
      });
    },

    async replaceLeaves(mode, keep, fresh) {
      db.transaction((tx) => {
        const ofMode = eq(certificates.mode, mode);
        tx.delete(certificates)
          .where(keep.length === 0 ? ofMode : and(ofMode, notInArray(certificates.id, [...keep])))
          .run();
        for (const certificate of fresh) {
          tx.insert(certificates).values(rowOf(certificate)).run();
          audit.write({
            type: 'certificate.issued',
            severity: 'low',
            target: `certificate:${certificate.id}`,
            details: factsOf(certificate),
          });
        }
      });
    },

    async addManual(certificate) {
      db.transaction((tx) => {
        tx.insert(certificates).values(rowOf(certificate)).run();
        audit.write({
          type: 'certificate.imported',
          severity: 'medium',
          target: `certificate:${certificate.id}`,
          details: factsOf(certificate),
        });
      });
    },

    async removeManual({ id, names }) {
      db.transaction((tx) => {
        tx.delete(certificates).where(eq(certificates.id, id)).run();
        const details = { names: names.slice(0, SHOWN_NAMES) };
        audit.write({
          type: 'certificate.removed',
          severity: 'medium',
          target: `certificate:${id}`,
          details,
        });
      });
    },

    async tellExpiry(certificate, atMs) {
      const { id } = certificate;
      db.transaction((tx) => {
        tx.update(certificates).set({ expiryToldAtMs: atMs }).where(eq(certificates.id, id)).run();
        audit.write({
          type: 'certificate.expiring',
          severity: 'high',
          target: `certificate:${id}`,
          details: factsOf(certificate),
        });
      });
    },
  };
}

const SHOWN_NAMES = 20;

function factsOf({ mode, names, notAfterMs }: StoredCertificate): Record<string, unknown> {
  return { mode, names: names.slice(0, SHOWN_NAMES), expires_at: iso(notAfterMs) };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function rowOf({ names, ...row }: StoredCertificate): typeof securitySchema.certificates.$inferInsert {
  return { ...row, namesJson: JSON.stringify(names) };
}

/** A row of a newer version, whose mode is not known here, is left alone. */
function rootOf(row: typeof securitySchema.certificateAuthorities.$inferSelect): StoredRoot[] {
  const { permittedJson, bridge, bridgeFrom, bridgeEndsAtMs, ...rest } = row;
  const mode = AUTHORITY_MODES.find((known) => known === row.mode);
  if (mode === undefined) return [];
  const isBridged = bridge !== null && bridgeFrom !== null && bridgeEndsAtMs !== null;
  return [
    {
      ...rest,
      mode,
      permitted: permittedIn(permittedJson),
      bridge: isBridged ? { certificate: bridge, from: bridgeFrom, endsAtMs: bridgeEndsAtMs } : null,
    },
  ];
}

function certificateOf(row: typeof securitySchema.certificates.$inferSelect): StoredCertificate[] {
  const { namesJson, ...rest } = row;
  const mode = CERTIFICATE_MODES.find((known) => known === row.mode);
  return mode === undefined ? [] : [{ ...rest, mode, names: stringsIn(parseJson(namesJson)) }];
}

/** What cannot be read permits nothing. */
function permittedIn(json: string): Permitted {
  const value = parseJson(json);
  const { dns, networks } = isRecord(value) ? value : {};
  return { dns: stringsIn(dns), networks: stringsIn(networks) };
}

function stringsIn(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((item): item is string => typeof item === 'string') : [];
}
