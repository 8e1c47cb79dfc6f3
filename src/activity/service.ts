/** What people ask of the request log, whoever answers it: a Worker of the FLM that runs, or this process. */
import type { ActivityRecord } from '../contract';
import { FlmError } from '../lib/errors';
import { parseIp } from '../lib/ip';
import type { ReadQuestion } from './log-reader';
import type { AnswerOf, ArgumentOf } from './messages';
import type { ActivityApi } from './model';

export interface Answerer {
  read<Name extends ReadQuestion>(question: Name, argument: ArgumentOf<Name>): Promise<AnswerOf<Name>>;
  erase(ip: string): Promise<AnswerOf<'erase'>>;
  /** Ids of requests that are under way. */
  running(): Promise<readonly string[]>;
}

export function createActivityApi(
  { read, erase, running }: Answerer,
  record: Pick<ActivityRecord, 'anchors' | 'removals' | 'record'>,
): ActivityApi {
  return {
    list: async (filter, page) => read('list', { filter, page, running: await running() }),
    refusals: (range, page) => read('refusals', { filter: { ...ANY, ...range }, page }),
    stats: (query) => read('stats', query),
    async *export(filter, format) {
      // An address stays out of what cannot be erased.
      const { ip, ...others } = filter;
      const asked = Object.entries(others).filter(([, value]) => value !== null);
      const details = { format, ...Object.fromEntries(asked), ...(ip === null ? {} : { by_ip: true }) };
      await record.record({ type: 'activity.exported', severity: 'medium', target: null, details });
      let cursor: string | null = null;
      do {
        const piece: AnswerOf<'piece'> = await read('piece', {
          filter,
          format,
          cursor,
          running: await running(),
        });
        yield piece.text;
        cursor = piece.next;
      } while (cursor !== null);
    },
    async verify() {
      for (;;) {
        const evidence = { anchors: await record.anchors(), removals: await record.removals() };
        const verdict = await read('verify', evidence);
        // A day that was put away meanwhile is on record now.
        if (verdict.valid || (await record.removals()).length === evidence.removals.length) return verdict;
      }
    },
    async erase({ ip }) {
      const address = parseIp(ip);
      if (address === null)
        throw new FlmError('INVALID_INPUT', { meta: { field: 'ip', reason: `"${ip}" is no address` } });
      const erased = await erase(address);
      await record.record({
        type: 'activity.erased',
        severity: 'medium',
        target: null, // Whose it was is what was erased.
        details: { days: erased.days, places: erased.places },
      });
      return erased;
    },
  };
}

const ANY = {
  key: null,
  model: null,
  engine: null,
  status: null,
  outcome: null,
  ip: null,
  requestId: null,
} as const;
