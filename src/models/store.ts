/** The table of what the owner says of names: aliases and strategies (config.db). */
import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { eq } from 'drizzle-orm';
import { type ConfigDb, configSchema } from '../../db';
import type { AuditEvent, AuditWriter } from '../contract';
import { parseJson } from '../lib/json';
import { STRATEGIES, type Strategy } from './rank';
import { checkPlaces, type Place } from './targets';

/** What the owner says of one name. */
export interface Rule {
  readonly name: string;
  /** What an alias stands for; null when the name stands for itself. */
  readonly places: readonly Place[] | null;
  /** Null: the default. */
  readonly strategy: Strategy | null;
  readonly updatedAtMs: number;
}

export interface RuleStore {
  /** All rules, by name. */
  load(): Promise<readonly Rule[]>;
  /** `event` is what is put on record with the change. */
  put(rule: Rule, event: AuditEvent): Promise<void>;
  remove(name: string, event: AuditEvent): Promise<void>;
}

const StoredPlaces = Type.Array(Type.Array(Type.Object({ model: Type.String(), weight: Type.Integer() })));

function isUsable(places: unknown): places is readonly Place[] {
  if (!Value.Check(StoredPlaces, places)) return false;
  try {
    checkPlaces(places);
    return true;
  } catch {
    return false;
  }
}

export function createRuleStore(db: ConfigDb, audit: AuditWriter): RuleStore {
  const { modelRoutes } = configSchema;
  return {
    async load() {
      const rows = db.select().from(modelRoutes).orderBy(modelRoutes.name).all();
      return rows.flatMap((row): Rule[] => {
        const places = row.targetsJson === null ? null : parseJson(row.targetsJson);
        // Targets that this version cannot read stay in the table and are left alone.
        if (places !== null && !isUsable(places)) return [];
        const strategy = STRATEGIES.find((known) => known === row.strategy) ?? null;
        return [{ name: row.name, places, strategy, updatedAtMs: row.updatedAtMs }];
      });
    },

    async put({ name, places, strategy, updatedAtMs }, event) {
      const targetsJson = places === null ? null : JSON.stringify(places);
      const set = { targetsJson, strategy, updatedAtMs };
      db.transaction((tx) => {
        tx.insert(modelRoutes)
          .values({ name, ...set })
          .onConflictDoUpdate({ target: modelRoutes.name, set })
          .run();
        audit.write(event);
      });
    },

    async remove(name, event) {
      db.transaction((tx) => {
        if (tx.delete(modelRoutes).where(eq(modelRoutes.name, name)).run().changes === 0) return;
        audit.write(event);
      });
    },
  };
}
