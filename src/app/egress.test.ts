/** FLM-017, FLM-106: what the options of a proxy make of the way out, which all proxies share. */
import { describe, expect, test } from 'bun:test';
import { thrown } from '../../test/support/rejected';
import { listenSocks } from '../../test/support/socks';
import { tunnelFixture } from '../../test/support/tunnel';
import type { Config } from '../config';
import type { AuditEvent } from '../contract';
import type { EgressSettings } from '../egress';
import type { ProxyInput } from '../listeners';
import { createEgressChoice, egressOfProxies } from './egress';

function choiceFor(before: Partial<EgressSettings> = {}, hasOthers = false) {
  const fixture = tunnelFixture(before);
  const set: string[] = [];
  const audit: AuditEvent[] = [];
  let shadowed: string | null = null;
  const config = {
    current: () => fixture.settings,
    async set(key: string, value: string) {
      set.push(`${key}=${value}`);
      if (key === shadowed) return { key, value, effect: 'shadowed-by-env' };
      const typed = value === 'true' ? true : value === 'false' ? false : value;
      fixture.settings = { ...fixture.settings, [key]: typed };
      return { key, value, effect: 'applied' };
    },
  } as unknown as Config; // The two functions it calls.
  const choose = createEgressChoice({
    config,
    tunnel: fixture.tunnel,
    audit: { record: async (event) => void audit.push(event) },
    hasOthers: () => hasOthers,
  });
  return {
    fixture,
    set,
    audit,
    choose: (input: ProxyInput) => choose(input),
    shadow: (key: string) => {
      shadowed = key;
    },
  };
}

describe('options of a proxy', () => {
  test('none of them changes nothing', async () => {
    const { choose, set } = choiceFor({ 'egress.mode': 'tor' }, true);
    await choose({ port: 9000 });
    expect(set).toEqual([]);
  });

  test('are kept as settings, the mode last, once the tunnel has answered', async () => {
    await using socks = await listenSocks();
    const { choose, set, fixture } = choiceFor();
    await choose({ egress_mode: 'tor', socks5_endpoint: socks.endpoint });
    expect(set).toEqual([`egress.socks5_endpoint=${socks.endpoint}`, 'egress.mode=tor']);
    expect(fixture.tunnel.view()).toMatchObject({ state: 'up', endpoint: `tor://${socks.endpoint}` });
    expect(egressOfProxies(fixture.settings)).toEqual({
      mode: 'tor',
      fail_open: false,
      socks5_endpoint: `tor://${socks.endpoint}`,
    });
  });

  test('change nothing when the tunnel does not answer, and that is on record', async () => {
    const { choose, set, audit } = choiceFor();
    const error = await thrown(choose({ egress_mode: 'socks5', socks5_endpoint: '127.0.0.1:1' }));
    expect(error).toMatchObject({ code: 'PROXY_INVALID_CONFIG' });
    expect(set).toEqual([]);
    expect(audit).toEqual([
      {
        type: 'egress.tunnel_lost',
        severity: 'high',
        target: 'proxy.egress',
        details: {
          mode: 'socks5',
          endpoint: 'socks5://127.0.0.1:1',
          reason: 'nothing listens there',
          at: 'start',
        },
      },
    ]);
  });

  test('count without a tunnel where requests may go around it', async () => {
    const { choose, fixture } = choiceFor();
    await choose({ egress_mode: 'socks5', socks5_endpoint: '127.0.0.1:1', egress_fail_open: true });
    expect(fixture.settings).toMatchObject({ 'egress.mode': 'socks5', 'egress.fail_open': true });
    expect(fixture.tunnel.view().state).toBe('bypassed');
  });

  test('never change the way of proxies that run', async () => {
    const { choose, set } = choiceFor(
      { 'egress.mode': 'tor', 'egress.socks5_endpoint': '127.0.0.1:1' },
      true,
    );
    const error = await thrown(choose({ egress_mode: 'direct' }));
    expect(error).toMatchObject({ code: 'EGRESS_SHARED', meta: { now: 'tor://127.0.0.1:1' } });
    // The same again is no change.
    await choose({ egress_mode: 'tor', socks5_endpoint: '127.0.0.1:1' });
    expect(set).toEqual([]);
  });

  test('FLM-106: socks5 without an endpoint is refused, and not taken for Tor', async () => {
    const { choose, set } = choiceFor();
    expect(await thrown(choose({ egress_mode: 'socks5' }))).toMatchObject({
      code: 'INVALID_INPUT',
      meta: { field: 'socks5_endpoint' },
    });
    expect(set).toEqual([]);
  });

  test('FLM-106: direct forgets the endpoint and that requests may go around it', async () => {
    const { choose, fixture } = choiceFor({
      'egress.mode': 'socks5',
      'egress.socks5_endpoint': '127.0.0.1:1',
      'egress.fail_open': true,
    });
    await choose({ egress_mode: 'direct' });
    expect(fixture.settings).toMatchObject({
      'egress.mode': 'direct',
      'egress.socks5_endpoint': '',
      'egress.fail_open': false,
    });
    expect(await thrown(choose({ egress_mode: 'direct', socks5_endpoint: 'a:1' }))).toMatchObject({
      code: 'INVALID_INPUT',
    });
  });

  test('that an environment variable hides are refused, not taken for granted', async () => {
    await using socks = await listenSocks();
    const { choose, shadow } = choiceFor();
    shadow('egress.mode');
    const error = await thrown(choose({ egress_mode: 'socks5', socks5_endpoint: socks.endpoint }));
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', meta: { key: 'egress.mode' } });
  });
});
