/**
 * Keeps the policy in force: one frozen snapshot, in step with the database also when another process writes there. What
 * is not as it was written is no policy, and then there is none at all (FLM-006).
 */
import type { AuditEvent } from '../contract';
import { actingAs, SYSTEM } from '../lib/actor';
import type { Bus } from '../lib/bus';
import { reasonOf } from '../lib/errors';
import { parseJson } from '../lib/json';
import type { Log } from '../lib/log';
import type { Policy, PolicyDocument } from './model';
import { findProblems } from './rules';
import { fits } from './schema';
import type { Sealer, StoredVersion } from './seal';
import type { Head, PolicyStore } from './store';

/** A version that is known to have been in force. */
export interface Known {
  readonly version: number;
  /** Its seal in hexadecimal digits. */
  readonly seal: string;
}

export interface KeeperOptions {
  readonly store: PolicyStore;
  readonly sealer: Sealer;
  /** The last version that was put on record, so that one that is gone is missed; null when none ever was. */
  readonly onRecord: () => Promise<Known | null>;
  /** Puts on record what is no change. */
  readonly record: (event: AuditEvent) => Promise<void>;
  readonly bus: Bus;
  readonly log: Log;
  /** Whether this process serves, and has to follow what others write. */
  readonly running: boolean;
  /** How often it looks whether another process has written. Default: once a second. */
  readonly pollMs?: number;
}

export type Reading =
  | { readonly policy: Policy; readonly head: Head; readonly trouble: null }
  | { readonly policy: null; readonly head: Head | null; readonly trouble: string };

export interface Keeper {
  /** What was read last. */
  reading(): Reading;
  /** Takes over what is in the database. Only in its turn. */
  look(): Promise<void>;
  /** One after the other: what is read must not be older than what was written. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>;
  /** The newest version there ever was, as far as is known. */
  newestKnown(): Promise<Known | null>;
  /** Begins to look for what others write. */
  start(): void;
  close(): Promise<void>;
}

const POLL_MS = 1_000;

export function createKeeper(options: KeeperOptions): Keeper {
  const { store, sealer, onRecord, bus, log, running } = options;
  let reading: Reading = { policy: null, head: null, trouble: 'it was not read yet' };
  let isFirstLook = true;
  /** The newest version that this process has seen in force. */
  let highest: Known | null = null;
  let mark: number | null = null;
  let timer: ReturnType<typeof setInterval> | null = null;
  let turn: Promise<unknown> = Promise.resolve();

  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  async function newestKnown(): Promise<Known | null> {
    const recorded = await onRecord();
    if (highest === null || recorded === null) return recorded ?? highest;
    return recorded.version > highest.version ? recorded : highest;
  }

  async function read(): Promise<Reading> {
    try {
      const head = await store.head();
      if (reading.policy !== null && isSame(reading.head, head)) return reading;
      const trouble = troubleWith(head, await newestKnown());
      if (head === null || trouble !== null) return { policy: null, head, trouble: trouble ?? GONE };
      const { version } = head.row;
      const document = documentOf(head.row);
      if (document === null)
        return { policy: null, head, trouble: `version ${version} is no policy that this FLM understands` };
      return { policy: Object.freeze({ version, document: deepFreeze(document) }), head, trouble: null };
    } catch (error) {
      return { policy: null, head: null, trouble: reasonOf(error) };
    }
  }

  function isSame({ row }: Head, head: Head | null): boolean {
    // Its seal covers all of it, and the seal of the one before.
    return head !== null && row.seal.equals(head.row.seal) && sealer.isIntact(head.row, head.sealBefore);
  }

  /** What keeps the newest version from being in force, or null. */
  function troubleWith(head: Head | null, known: Known | null): string | null {
    if (head === null) return GONE;
    const { version, seal } = head.row;
    if (known !== null && version < known.version) return `version ${known.version} is gone`;
    if (!sealer.isIntact(head.row, head.sealBefore)) return `version ${version} is not as it was written`;
    // That FLM made the first one is on no record: nobody has changed anything.
    const isNews = known === null ? version !== 1 : version > known.version;
    if (isNews) return `version ${version} was never put on record`;
    const isOther = known !== null && seal.toString('hex') !== known.seal;
    return isOther ? `version ${version} is not the one that was put on record` : null;
  }

  async function look(): Promise<void> {
    const before = reading;
    reading = await read();
    const isFirst = isFirstLook;
    isFirstLook = false;
    if (reading.policy === null) {
      if (reading.trouble !== before.trouble) await tell(reading.trouble);
      return;
    }
    if (reading === before) return;
    const { version } = reading.policy;
    highest = { version, seal: reading.head.row.seal.toString('hex') };
    if (isFirst) return;
    if (before.policy === null) log.info('the security policy can be read again', { version });
    bus.publish({ name: 'policy.changed', version });
  }

  async function tell(trouble: string): Promise<void> {
    log.error('the security policy cannot be read, so nobody is let in', { reason: trouble });
    // Commands that work offline look at it, too: it is on record once for each process that serves.
    if (!running) return;
    try {
      const event: AuditEvent = {
        type: 'policy.unreadable',
        severity: 'critical',
        target: 'policy:default',
        details: { reason: trouble },
      };
      // Not in the name of whoever asked at that moment.
      await actingAs(SYSTEM, () => options.record(event));
    } catch (error) {
      log.error('that the security policy cannot be read could not be put on record', { error });
    }
  }

  function poll(): void {
    const now = markNow();
    // What could not be read may be readable again without anybody having written.
    if (now !== null && now === mark && reading.policy !== null) return;
    mark = now;
    void inTurn(async () => (timer === null ? undefined : look()));
  }

  /** Null when the database does not say: then only reading tells what is the matter. */
  function markNow(): number | null {
    try {
      return store.changeMark();
    } catch {
      return null;
    }
  }

  return {
    reading: () => reading,
    look,
    inTurn,
    newestKnown,
    start() {
      if (running) timer = setInterval(poll, options.pollMs ?? POLL_MS).unref();
    },
    async close() {
      if (timer !== null) clearInterval(timer);
      timer = null;
      await turn;
    },
  };
}

const GONE = 'all of its versions are gone';

function documentOf({ documentJson }: StoredVersion): PolicyDocument | null {
  const document = parseJson(documentJson);
  return fits(document) && findProblems(document).length === 0 ? document : null;
}

function deepFreeze<Value>(value: Value): Value {
  if (value !== null && typeof value === 'object') for (const item of Object.values(value)) deepFreeze(item);
  return Object.freeze(value);
}
