/** The digests of the chain: fixed for ever, and different for whatever differs. */
import { describe, expect, test } from 'bun:test';
import {
  type AuditDraft,
  type AuditRow,
  chained,
  commitmentOf,
  GENESIS,
  hashOf,
  keepsCommitment,
} from './chain';

const draft: AuditDraft = {
  id: '01a20a99-0000-7000-8000-000000000000',
  atMs: 1_760_000_000_000,
  type: 'key.created',
  severity: 'medium',
  actorKind: 'owner',
  actorId: 'owner',
  via: 'socket',
  target: 'key:Ab12Cd34',
  requestId: 'r',
  traceId: null,
  detailsJson: '{"label":"ü"}',
  personalJson: null,
};
const head = { writer: 'w', seq: 4, hash: Buffer.alloc(32, 7) };

describe('hashOf', () => {
  test('is what it was in the first version: chains are older than programs', () => {
    expect(chained(draft, { writer: 'w', seq: 0, hash: GENESIS }).hash.toString('hex')).toBe(
      '10280e8970c51f79efc411fd6bcecc127d1521cb5647c659abdefd1a08602baf',
    );
    expect(commitmentOf('{"ip":"192.0.2.1"}', Buffer.alloc(16, 1)).toString('hex')).toBe(
      '00ec0aa88e8faffd07bbd54c952e0957fc733bb029158b5cd879e7ad97be5cfa',
    );
  });

  test('differs with every field, and does not confuse one with its neighbour', () => {
    const row = chained(draft, head);
    const changes: Partial<AuditRow>[] = [
      ...Object.entries(row)
        .filter(([name]) => !['hash', 'personalJson', 'personalSalt'].includes(name))
        .map(([name, value]) => ({
          [name]: typeof value === 'number' ? value + 1 : Buffer.isBuffer(value) ? GENESIS : 'x',
        })),
      { target: null },
      { target: '' },
      { requestId: null, traceId: 'r' },
      { actorId: 'ownersocket', via: '' },
      { type: 'key.create', severity: 'dmedium' },
    ];
    const digests = new Set(
      [row, ...changes.map((change) => ({ ...row, ...change }))].map((each) => hashOf(each).toString('hex')),
    );
    expect(digests.size).toBe(changes.length + 1);
  });
});

describe('personal data', () => {
  test('are in the chain through a commitment alone', () => {
    const row = chained({ ...draft, personalJson: '{"ip":"192.0.2.1"}' }, head);
    const erased = { ...row, personalJson: null, personalSalt: null };
    expect(hashOf(erased).equals(row.hash)).toBe(true);
    expect([row, erased].map(keepsCommitment)).toEqual([true, true]);
    for (const forged of [
      { ...row, personalJson: '{"ip":"192.0.2.2"}' },
      { ...row, personalSalt: null },
      { ...row, personalJson: null },
      { ...chained(draft, head), personalJson: '{"ip":"192.0.2.2"}', personalSalt: Buffer.alloc(16) },
    ])
      expect(keepsCommitment(forged)).toBe(false);
  });

  test('of two rows with the same address have nothing in common', () => {
    const [one, other] = [1, 2].map(() => chained({ ...draft, personalJson: '{"ip":"192.0.2.1"}' }, head));
    expect(one?.personalCommitment).not.toEqual(other?.personalCommitment ?? null);
  });
});
