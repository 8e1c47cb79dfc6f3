/** What clients see of a tunnel that is lost: its own error, at once, and other engines that have the model. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { startFake } from '../fake';
import { eventually } from '../support/eventually';
import { listenSocks } from '../support/socks';
import { type Chat, chat, type Gateway, requestIdOf, startGateway } from './support/gateway';
import { headerOf } from './support/raw';
import { CHAT } from './support/routes';

setDefaultTimeout(30_000);

const MODEL = 'both-have-it';

/** An engine that only the SOCKS server finds, and one on this machine that has one of its models. */
async function behindTunnel() {
  const far = await startFake('vllm', { models: [MODEL, 'only-far'] });
  const port = Number(new URL(far.url).port);
  const options = { lead: () => ({ host: '127.0.0.1', port }) };
  let socks = await listenSocks(options);
  const gateway: Gateway = await startGateway({
    settings: { 'egress.mode': 'socks5', 'egress.socks5_endpoint': socks.endpoint },
  });
  await gateway.addEngine('vllm', 'http://gpu.flm.test:8000', { id: 'far' });
  return {
    gateway,
    far,
    cut: async () => {
      socks.cut();
      await socks[Symbol.asyncDispose]();
    },
    mend: async () => {
      socks = await listenSocks({ ...options, port: socks.port });
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await far.close();
      await socks[Symbol.asyncDispose]();
    },
  };
}

const ask = (gateway: Gateway, model: string, fields: Chat = {}) => gateway.post(CHAT, chat(model, fields));

test('FLM-105: a lost tunnel is told at once and by its own code, is nobody else s failure, and mends itself', async () => {
  await using place = await behindTunnel();
  const { gateway } = place;
  expect((await ask(gateway, 'only-far')).status).toBe(200);
  await place.cut();
  const refused = await ask(gateway, 'only-far');
  expect([refused.status, String(refused.body)]).toEqual([
    503,
    expect.stringContaining('"egress_tunnel_down"'),
  ]);
  expect(headerOf(refused, 'retry-after')).toBe('5');
  expect(String(refused.body)).not.toContain('127.0.0.1');
  const { finished, attempts } = gateway.account(requestIdOf(refused));
  expect(finished.map(({ outcome }) => outcome)).not.toContain('done');
  expect(attempts.map(({ outcome }) => outcome)).not.toContain('failed');
  // However often it is looked at, the reason stays what it is.
  for (let n = 0; n < 4; n++) await gateway.app.engines.detect();
  expect(String((await ask(gateway, 'only-far')).body)).toContain('"egress_tunnel_down"');
  expect(String((await ask(gateway, 'flm://far/only-far')).body)).toContain('"egress_tunnel_down"');
  expect((await ask(gateway, 'nobody-has-it')).status).toBe(404);
  await place.mend();
  await eventually(async () => (await ask(gateway, 'only-far')).status === 200, 15_000, 100);
});

test('FLM-103: what an engine of this machine has, it answers while the tunnel is lost', async () => {
  await using place = await behindTunnel();
  const { gateway, far } = place;
  await gateway.addFake('vllm', { models: [MODEL] }, { id: 'near' });
  await place.cut();
  for (let n = 0; n < 5; n++) expect((await ask(gateway, MODEL)).status).toBe(200);
  expect(far.busy()).toBe(0);
});
