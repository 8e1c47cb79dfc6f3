/** Origins of web pages (RFC 6454): how owners write them down, and whether one is among them. */

/** A set of origins, parsed once. */
export interface OriginSet {
  /** Every origin, whatever it is. */
  readonly isAny: boolean;
  readonly isEmpty: boolean;
  /** Whether it holds an origin, written as browsers write it in `Origin`. */
  has(origin: string): boolean;
}

const DOMAIN = /^(?:\[[0-9a-f:]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::\d{1,5})?$/;
const WEB_URL = /^https?:\/\/[^/?#@*\s]+\/?$/;
/** Of browser extensions and desktop apps: `chrome-extension://…`, `tauri://localhost`. */
const APP = /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/;
const LOCALHOST = /^https?:\/\/localhost(?::\d{1,5})?$/;

/** Whether an entry can stand in such a set. */
export function isOrigin(entry: string): boolean {
  const text = entry.toLowerCase();
  return text === '*' || text === 'localhost' || originOf(text) !== null;
}

/**
 * Parses what an owner allows: `https://chat.example`, `http://10.0.0.5:3000`, `chat.example` (which is
 * `https://chat.example`), `localhost` (every port of it, with and without TLS), `chrome-extension://…`, or `*`.
 * `null` is none: every page in a sandbox has that origin.
 * @throws TypeError naming the first entry that is none of these.
 */
export function parseOrigins(entries: readonly string[]): OriginSet {
  const exact = new Set<string>();
  let isAny = false;
  let hasLocalhost = false;
  for (const entry of entries) {
    const text = entry.toLowerCase();
    if (text === '*') isAny = true;
    else if (text === 'localhost') hasLocalhost = true;
    else exact.add(originOf(text) ?? refuse(entry));
  }
  return {
    isAny,
    isEmpty: entries.length === 0,
    has: (origin) => isAny || exact.has(origin) || (hasLocalhost && LOCALHOST.test(origin)),
  };
}

/** One entry in lower case as browsers write it, or null when it is no origin. */
function originOf(text: string): string | null {
  if (text === 'null') return null;
  if (DOMAIN.test(text)) return URL.parse(`https://${text}`)?.origin ?? null;
  // Without its port where that is the scheme's own, as browsers write it.
  if (WEB_URL.test(text)) return URL.parse(text)?.origin ?? null;
  return APP.test(text) && !/^(?:https?|file):/.test(text) ? text : null;
}

function refuse(entry: string): never {
  throw new TypeError(`"${entry}" is no origin such as https://chat.example, chat.example, localhost or *`);
}
