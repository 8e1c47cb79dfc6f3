/** Which certificate a client is shown: by the name it asked for, or by the address it came to (RFC 6066 §3, RFC 9525). */
import type { TlsMaterial } from '../src/contract';
import { parseName } from './names';

/** Certificates by exact name, found at once however many there are. */
export interface Choice {
  /** For a client that asked for `serverName`, or that asked for none and came to `address`; exact names before wildcards. */
  find(serverName: string | null, address: string | null): TlsMaterial | null;
}

/** Where several have a name, the first one counts. */
export function choiceAmong(materials: readonly TlsMaterial[]): Choice {
  const byName = new Map<string, TlsMaterial>();
  for (const material of materials)
    for (const name of material.names) if (!byName.has(name)) byName.set(name, material);
  const find = (name: string) => byName.get(name) ?? byName.get(`*${name.slice(name.indexOf('.'))}`) ?? null;
  return {
    find(serverName, address) {
      const asked = serverName ?? address;
      const name = asked === null ? null : parseName(asked);
      return name === null ? null : find(name);
    },
  };
}
