/** The chain as files: JSON that is one document, CSV that is safe to open. */
import { describe, expect, test } from 'bun:test';
import { fill, testChain } from '../../test/support/audit-chain';

async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

describe('the export', () => {
  test('as JSON is one document with every row, the oldest first, and is on record itself', async () => {
    await using chain = await testChain();
    fill(chain, 450);
    const text = await textOf(await chain.audit.export({}, 'json'));
    const { items, next } = JSON.parse(text);
    expect(next).toBeNull();
    expect(items.map(({ seq }: { seq: number }) => seq)).toEqual(
      Array.from({ length: 451 }, (_, n) => n + 1),
    );
    expect(items.at(-1)).toMatchObject({ type: 'audit.exported', details: { format: 'json' } });
    expect(text.split('\n')).toHaveLength(454);
  });

  test('of nothing is an empty document', async () => {
    await using chain = await testChain();
    expect(JSON.parse(await textOf(await chain.audit.export({ type: 'key' }, 'json')))).toEqual({
      items: [],
      next: null,
    });
  });

  test('as CSV has a row for each, of as many cells as the header', async () => {
    await using chain = await testChain();
    fill(chain, 250);
    await chain.audit.record({
      type: 'key.created',
      severity: 'low',
      target: '=HYPERLINK("x")',
      details: null,
    });
    const lines = (await textOf(await chain.audit.export({ ip: '192.0.2.6', type: 'config' }, 'csv'))).split(
      '\r\n',
    );
    expect(lines).toHaveLength(3);
    expect(lines[0]).toBe(
      'seq,at,type,severity,actor_kind,actor_id,via,target,ip,request_id,trace_id,details,writer,id,previous_hash,hash',
    );
    expect(lines[1]).toMatch(
      /^6,2025-.*Z,config\.set,low,owner,owner,tcp,thing:6,192\.0\.2\.6,r,,"\{""n"":6\}",/,
    );
    expect(lines[2]).toBe('');
    const all = await textOf(await chain.audit.export({}, 'csv'));
    expect(all).toContain(`,"'=HYPERLINK(""x"")",`);
    expect(all.split('\r\n')).toHaveLength(255);
    // The address that was asked for is in no row that cannot be erased from.
    expect(all).toContain('"{""format"":""csv"",""type"":""config"",""by_ip"":true}"');
  });

  test('stops where the chain ended when it was asked for', async () => {
    await using chain = await testChain();
    fill(chain, 250);
    const pieces = await chain.audit.export({}, 'json');
    fill(chain, 10);
    expect(JSON.parse(await textOf(pieces)).items).toHaveLength(251);
  });
});
