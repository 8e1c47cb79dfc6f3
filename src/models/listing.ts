/**
 * `GET /v1/models`: every model once, under the name a client asks for it by, and the aliases. Made of one snapshot of
 * the catalogue; for somebody who may use everything the JSON is made once, for others of pieces that are.
 */
import { addressOf } from '../lib/model-name';
import type { Entry } from './catalogue';
import type { OpenAiModel } from './model';
import { type Allowed, aliasEntry, type FoundAlias, openAiEntry, usableName } from './view';

export interface Listing {
  /** Null: everything. */
  list(allowed: Allowed | null): OpenAiModel[];
  /** The same as the JSON of OpenAI's list. */
  json(allowed: Allowed | null): string;
}

export function createListing(
  byId: ReadonlyMap<string, readonly Entry[]>,
  aliases: readonly FoundAlias[],
): Listing {
  const held = new Set(aliases.map(({ alias }) => alias.name));
  const present = aliases.filter(({ targets }) => targets.some(({ entries }) => entries.length > 0));
  const texts = new Map<Entry, string>();
  let everything: string | null = null;

  function* items(allowed: Allowed | null): Generator<Item> {
    const listed = new Set<string>();
    for (const found of present) {
      const { name } = found.alias;
      if (allowed !== null && !entriesOf(found).some((entry) => allowed(entry, name))) continue;
      listed.add(name);
      yield { model: aliasEntry(found, allowed), entry: null };
    }
    for (const [id, copies] of byId) {
      const shown = allowed === null ? firstOf(id, copies) : allowedOf(id, copies, allowed);
      if (shown === null || listed.has(shown.name)) continue;
      const { name, entry } = shown;
      listed.add(name);
      // Nobody can be asked for it by a name that an alias holds, not even by one of which nothing is there.
      const asked = held.has(name) ? addressOf(entry.engine.id, name) : name;
      yield { model: openAiEntry(asked, entry), entry: asked === id ? entry : null };
    }
  }

  /** The JSON of an entry under its own name is the same for everybody. */
  function textOf({ model, entry }: Item): string {
    const known = entry === null ? undefined : texts.get(entry);
    if (known !== undefined) return known;
    const text = JSON.stringify(model);
    if (entry !== null) texts.set(entry, text);
    return text;
  }

  const jsonOf = (allowed: Allowed | null) =>
    `{"object":"list","data":[${[...items(allowed)].map(textOf).join(',')}]}`;

  return {
    list: (allowed) => [...items(allowed)].map(({ model }) => model),
    json(allowed) {
      if (allowed !== null) return jsonOf(allowed);
      everything ??= jsonOf(null);
      return everything;
    },
  };
}

interface Item {
  readonly model: OpenAiModel;
  /** What the item shows under its own name, or null. */
  readonly entry: Entry | null;
}

interface Shown {
  /** What the engine calls the entry, or also calls it. */
  readonly name: string;
  readonly entry: Entry;
}

function firstOf(name: string, [entry]: readonly Entry[]): Shown | null {
  return entry === undefined ? null : { name, entry };
}

/** The first copy that may be used by its own name, else one that may be by another, under that. */
function allowedOf(name: string, copies: readonly Entry[], allowed: Allowed): Shown | null {
  const own = copies.find((entry) => allowed(entry, entry.uri));
  if (own !== undefined) return { name, entry: own };
  for (const entry of copies) {
    const other = usableName(entry, allowed);
    if (other !== null) return { name: other, entry };
  }
  return null;
}

function entriesOf({ targets }: FoundAlias): readonly Entry[] {
  return targets.flatMap(({ entries }) => entries);
}
