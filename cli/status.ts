/** `flm status` */
import { existsSync } from 'node:fs';
import type { Status } from '../src/admin/client';
import type { Paths } from '../src/lib/paths';
import { VERSION } from '../src/version';
import { withBackend } from './backend';
import { command } from './command';
import { egressLine } from './egress/text';
import { endpointRows, listensText } from './endpoints';
import { onionRow } from './proxy/text';
import { columns } from './table';
import { localTime } from './time';
import { count } from './words';

export default command({
  about: 'Tell whether FLM runs, where it listens and what it has. Exit code 1 when it does not run.',
  examples: ['flm status', 'flm status --json'],
  async run({ cli }) {
    const { configDb, securityDb, adminSocket } = cli.paths;
    const isThere = [configDb, securityDb, adminSocket].some((path) => existsSync(path));
    const status = isThere ? await withBackend(cli, (backend) => backend.status()) : nothingIn(cli.paths);
    cli.result(status, () => textOf(status));
    // So that a script can ask: flm status > /dev/null && …
    if (!status.running) cli.fail(1);
  },
});

/** Where FLM has never run. Looking must not make what is not there. */
function nothingIn({ dir }: Paths): Status {
  return {
    running: false,
    id: null,
    pid: null,
    version: VERSION,
    data_dir: dir,
    mode: null,
    listen_addr: null,
    endpoints: { localhost: null, local_network: null, local_networks: [], public: [] },
    admin: { url: null, reason: null },
    run_by: null,
    egress: {
      mode: 'direct',
      endpoint: null,
      state: 'direct',
      reason: null,
      since: null,
      fail_open: false,
      private_addresses: 'direct',
      has_login: false,
    },
    proxies: [],
    started_at: null,
    requests: 0,
    engines: { running: 0, known: 0 },
    models: 0,
    security_db_key: null,
  };
}

function listens(proxy: Status['proxies'][number]): string {
  const { status, last_error: error } = proxy;
  const address = listensText(proxy);
  if (status === 'running') return address;
  return `${address} (${status}${error === null ? '' : `: ${error}`})`;
}

function textOf(status: Status): string {
  if (!status.running)
    return `FLM ${status.version} is not running. Start it with: flm up, or flm proxy start`;
  return [
    `FLM ${status.version} runs (process ${status.pid}).`,
    columns([
      ...endpointRows(status, status.proxies[0]?.uncertified),
      ...status.proxies.map((proxy, index) => [index === 0 ? 'Listens' : '', listens(proxy)] as const),
      [
        'Engines',
        `${status.engines.running} running of ${status.engines.known} known, ${count(status.models, 'model')}`,
      ],
      ['Requests', `${status.requests} under way`],
      ...status.proxies.flatMap(onionRow),
      ...(status.egress.mode === 'direct' ? [] : [['Egress', egressLine(status.egress)] as const]),
      ...adminRow(status),
      ['Since', status.started_at === null ? '' : localTime(status.started_at)],
      ['Data', status.data_dir],
    ]),
  ].join('\n');
}

/** Where browsers reach the admin API, or why they cannot; nothing where the owner wants no port. */
function adminRow({ admin: { url, reason } }: Status): (readonly [string, string])[] {
  if (url !== null) return [['Admin', `${url}/swagger  ("flm admin token" lets you in)`]];
  return reason === null ? [] : [['Admin', `not for browsers: ${reason}`]];
}
