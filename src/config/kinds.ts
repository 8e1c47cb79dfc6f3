/** The kinds of values a setting can have: how each is read from text, written as text, and described. */
import { parseIp } from '../lib/ip';
import { checkNetworks } from '../lib/networks';

export interface Kind<Value> {
  /** What it takes, in words for docs and errors: `a whole number from 1 to 65535`. */
  readonly takes: string;
  /**
   * Reads text (from a flag, the environment or the database) or a TOML value.
   * @throws TypeError whose message completes "cannot be X: …".
   */
  parse(input: unknown): Value;
  /** The text that parses back to the value. */
  format(value: Value): string;
}

/** A whole number within bounds; durations are in milliseconds and say so in the key. */
export function integer(min: number, max: number): Kind<number> {
  const takes = `a whole number from ${min} to ${max}`;
  return {
    takes,
    parse(input) {
      const text = typeof input === 'number' ? String(input) : input;
      if (typeof text !== 'string' || !/^-?\d{1,15}$/.test(text.trim()))
        throw new TypeError(`it takes ${takes}`);
      const value = Number(text);
      if (value < min || value > max) throw new TypeError(`it takes ${takes}`);
      return value;
    },
    format: String,
  };
}

export function boolean(): Kind<boolean> {
  const takes = 'true or false';
  return {
    takes,
    parse(input) {
      if (typeof input === 'boolean') return input;
      const text = typeof input === 'string' ? input.trim().toLowerCase() : '';
      if (text === 'true' || text === '1' || text === 'yes') return true;
      if (text === 'false' || text === '0' || text === 'no') return false;
      throw new TypeError(`it takes ${takes}`);
    },
    format: String,
  };
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly Word[]): Kind<Word> {
  const takes = `one of ${words.join(', ')}`;
  return {
    takes,
    parse(input) {
      const found = words.find((word) => word === input);
      if (found === undefined) throw new TypeError(`it takes ${takes}`);
      return found;
    },
    format: (value) => value,
  };
}

/** One IP address to listen on. The one name that is an address everywhere counts as that. */
export function ipAddress(): Kind<string> {
  const takes = 'an IP address such as 127.0.0.1, ::1 or 0.0.0.0, or localhost';
  return {
    takes,
    parse(input) {
      const text = typeof input === 'string' ? input.trim() : '';
      const ip = text.toLowerCase() === 'localhost' ? '127.0.0.1' : parseIp(text);
      if (ip === null) throw new TypeError(`it takes ${takes}`);
      return ip;
    },
    format: (value) => value,
  };
}

/** Where a server listens; empty: nowhere in particular. */
export function endpoint(): Kind<string> {
  const takes = 'host:port such as 127.0.0.1:9050 or [::1]:9050, or nothing';
  return {
    takes,
    parse(input) {
      const text = typeof input === 'string' ? input.trim() : '';
      const [, v6, port] = /^(?:\[([^\]]+)\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text) ?? [];
      const isEndpoint = port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
      if (input !== '' && (!isEndpoint || (v6 !== undefined && parseIp(v6) === null)))
        throw new TypeError(`it takes ${takes}`);
      return text;
    },
    format: (value) => value,
  };
}

/** Addresses and networks, separated by commas (or a TOML array). */
export function ipNetworks(): Kind<readonly string[]> {
  return list('addresses and networks such as 10.0.0.0/8, separated by commas', checkNetworks);
}

/** Host names without port, separated by commas (or a TOML array), in lower case. */
export function hostNames(): Kind<readonly string[]> {
  const takes = 'host names such as flm.local, separated by commas';
  const names = list(takes, (items) => {
    const wrong = items.find((item) => !/^[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?$/i.test(item));
    if (wrong !== undefined) throw new TypeError(`"${wrong}" is no host name`);
  });
  // Whoever compares them has the host of a request in lower case.
  const parse = (input: unknown) => Object.freeze(names.parse(input).map((name) => name.toLowerCase()));
  return { ...names, parse };
}

/** Host names (`*.` in front: one label of any kind) and addresses, separated by commas (or a TOML array), in lower case. */
export function serverNames(): Kind<readonly string[]> {
  const takes = 'host names and addresses such as llm.example.com, separated by commas';
  const names = list(takes, (items) => {
    const isName = (item: string) => /^(?:\*\.)?[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?$/i.test(item);
    const wrong = items.find((item) => parseIp(item) === null && !isName(item));
    if (wrong !== undefined) throw new TypeError(`"${wrong}" is neither a host name nor an address`);
  });
  const parse = (input: unknown) => Object.freeze(names.parse(input).map((name) => name.toLowerCase()));
  return { ...names, parse };
}

export function fingerprints(): Kind<readonly string[]> {
  const ids = list('SHA-256 fingerprints of certificates, separated by commas', (items) => {
    const wrong = items.find((item) => !/^(?:[0-9a-f]{2}:?){31}[0-9a-f]{2}$/i.test(item));
    if (wrong !== undefined)
      throw new TypeError(
        `"${wrong}" is no SHA-256 fingerprint: 64 hexadecimal digits, with colons or without`,
      );
  });
  const bare = (text: string) => text.replaceAll(':', '').toLowerCase();
  return { ...ids, parse: (input: unknown) => Object.freeze(ids.parse(input).map(bare)) };
}

function list(takes: string, check: (items: readonly string[]) => void): Kind<readonly string[]> {
  return {
    takes,
    parse(input) {
      const parts = typeof input === 'string' ? input.split(',') : input;
      if (!Array.isArray(parts) || !parts.every((part) => typeof part === 'string')) {
        throw new TypeError(`it takes ${takes}`);
      }
      const items = parts.map((part: string) => part.trim()).filter((part) => part !== '');
      check(items);
      return Object.freeze(items);
    },
    format: (value) => value.join(','),
  };
}
