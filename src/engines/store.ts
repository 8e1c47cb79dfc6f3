/** Engines added by hand (config.db) and what FLM shows to those that want a key (security.db, encrypted). */
import { eq } from 'drizzle-orm';
import { type ConfigDb, configSchema, type SecurityDb, securitySchema } from '../../db';
import type { AuditWriter, EngineKind } from '../contract';
import { findKind } from './registry';

export interface ManualEngine {
  readonly id: string;
  readonly kind: EngineKind;
  readonly baseUrl: string;
  /** What the owner says it takes at once; null = as it tells itself. */
  readonly slots: number | null;
  readonly credential: string | null;
}

/** Each change is put on record with it; what an engine wants as a key is not. */
export interface EngineStore {
  load(): Promise<readonly ManualEngine[]>;
  /** The credential is on disk before the engine is: an engine never appears without it. */
  insert(engine: ManualEngine, nowMs: number): Promise<void>;
  remove(id: string): Promise<void>;
}

export function createEngineStore(config: ConfigDb, security: SecurityDb, audit: AuditWriter): EngineStore {
  const { engines } = configSchema;
  const { engineCredentials } = securitySchema;
  return {
    async load() {
      const secrets = new Map(
        security
          .select()
          .from(engineCredentials)
          .all()
          .map((row) => [row.engineId, row.secret]),
      );
      return config
        .select()
        .from(engines)
        .orderBy(engines.createdAtMs)
        .all()
        .flatMap((row) => {
          const kind = findKind(row.kind);
          // A kind of a newer version stays in the table and is left alone.
          if (kind === null) return [];
          return [
            {
              id: row.id,
              kind,
              baseUrl: row.baseUrl,
              slots: row.slots,
              credential: secrets.get(row.id) ?? null,
            },
          ];
        });
    },

    async insert({ id, kind, baseUrl, slots, credential }, nowMs) {
      config.transaction((tx) => {
        // First, because it fails when the name is taken: nothing of that engine's may be touched then.
        tx.insert(engines).values({ id, kind, baseUrl, slots, createdAtMs: nowMs }).run();
        const details = { kind, url: baseUrl, slots, has_key: credential !== null };
        audit.write({ type: 'engine.added', severity: 'medium', target: `engine:${id}`, details });
        // A crash may have left the credential of another engine of this name.
        security.delete(engineCredentials).where(eq(engineCredentials.engineId, id)).run();
        if (credential === null) return;
        security
          .insert(engineCredentials)
          .values({ engineId: id, secret: credential, updatedAtMs: nowMs })
          .run();
      });
    },

    async remove(id) {
      config.transaction((tx) => {
        if (tx.delete(engines).where(eq(engines.id, id)).run().changes === 0) return;
        audit.write({ type: 'engine.removed', severity: 'medium', target: `engine:${id}`, details: null });
      });
      security.delete(engineCredentials).where(eq(engineCredentials.engineId, id)).run();
    },
  };
}
