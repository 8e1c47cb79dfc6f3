/** What `flm up` shows once it serves: where, what, and something to paste. */
import type { Status } from '../../src/admin/client';
import type { CreatedKey } from '../../src/admission';
import type { EngineList } from '../../src/engines';
import { endpointRows } from '../endpoints';
import { trustHint } from '../proxy/tls';
import { columns } from '../table';

export interface UpResult {
  readonly status: Status;
  readonly engines: EngineList;
  /** The first key, when this start made it. */
  readonly key: CreatedKey | null;
}

export function upText({ status, engines, key }: UpResult): string {
  const { localhost, local_network: lan, public: open } = status.endpoints;
  const [proxy] = status.proxies;
  const isTls = proxy !== undefined && proxy.mode !== 'local-http';
  // Where no certificate holds the address, a request that is pasted would be refused.
  const base = localhost ?? lan ?? open[0] ?? (isTls ? null : `http://${status.listen_addr}`);
  const running = engines.items.filter((engine) => engine.status.status === 'running-healthy');
  const model = running[0]?.models[0];
  const rows: (readonly [string, string])[] = [
    ...endpointRows(status, proxy?.uncertified),
    ...(running.length === 0
      ? [['Engines', 'none yet: start one, or try one with "flm engines try"'] as const]
      : []),
    ...running.map(
      (engine) => ['Engine', `${engine.name} at ${engine.url}: ${engine.models.join(', ')}`] as const,
    ),
    [
      'Key',
      key === null
        ? 'as before ("flm api-keys create --label L" makes another)'
        : `${key.plain_key}  (shown this once: keep it)`,
    ],
  ];
  const sections = [`FLM ${status.version} is up.`, columns(rows)];
  if (model !== undefined && base !== null) {
    const request = curlFor(base, model, key?.plain_key ?? '$FLM_API_KEY');
    sections.push(`${key === null ? `Try it, with your own key:\n\n${EXPORT}\n` : 'Try it:\n\n'}${request}`);
  }
  const hint = proxy === undefined ? null : trustHint(proxy);
  if (hint !== null) sections.push(hint);
  return `${sections.join('\n\n')}\n\nStop it with Ctrl-C.`;
}

/** FLM keeps no key that it could show again. */
const EXPORT = 'export FLM_API_KEY=flm_...';

/** JSON leaves some characters alone that a terminal obeys, and spelled out they are the same to whoever parses it. */
function escapeControls(json: string): string {
  return json.replaceAll(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A request that can be pasted into a shell as it is. */
export function curlFor(base: string, model: string, key: string): string {
  const body = JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hello!' }] });
  return [
    `curl -N ${base}/v1/chat/completions \\`,
    `  -H "Authorization: Bearer ${key}" \\`,
    `  -H "Content-Type: application/json" \\`,
    `  -d '${escapeControls(body).replaceAll("'", "'\\''")}'`,
  ].join('\n');
}
