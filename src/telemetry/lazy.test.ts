/** Nobody who has no collector pays for the code that talks to one. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';

/** The modules of this room that a process has loaded once FLM serves. */
async function loaded(env: Readonly<Record<string, string>>): Promise<string[]> {
  const script = `
    const { startGateway } = await import(${JSON.stringify(join(import.meta.dir, '../../test/contract/support/gateway.ts'))});
    const gateway = await startGateway({ env: process.env });
    const own = Object.keys(require.cache).filter((path) => path.includes('/src/telemetry/'));
    await gateway[Symbol.asyncDispose]();
    console.log(JSON.stringify(own.map((path) => path.split('/src/telemetry/')[1])));
  `;
  const child = Bun.spawn([process.execPath, '-e', script], {
    stdout: 'pipe',
    env: { ...process.env, ...env },
  });
  return JSON.parse(await new Response(child.stdout).text());
}

test('OpenTelemetry is loaded only when the environment names a collector', async () => {
  const without = await loaded({});
  expect(without).toContain('index.ts');
  expect(without.filter((path) => path.startsWith('otlp/'))).toEqual([]);
  const disabled = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_SDK_DISABLED: 'TRUE' };
  expect((await loaded(disabled)).filter((path) => path.startsWith('otlp/'))).toEqual([]);
  const set = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:9/v1/traces' };
  expect(await loaded(set)).toContain('otlp/index.ts');
});
