/** `flm status` */
import type { Status } from '../src/admin/client';
import { withBackend } from './backend';
import { command } from './command';
import { columns } from './table';

export default command({
  about: 'Tell whether FLM runs, where it listens and what it has.',
  examples: ['flm status', 'flm status --json'],
  async run({ cli }) {
    const status = await withBackend(cli, (backend) => backend.status());
    cli.result(status, () => textOf(status));
  },
});

function textOf(status: Status): string {
  if (!status.running) return `FLM ${status.version} is not running. Start it with: flm up`;
  const { localhost, local_network: lan } = status.endpoints;
  return [
    `FLM ${status.version} runs (process ${status.pid}).`,
    columns([
      [
        'API',
        [localhost, lan]
          .filter((url) => url !== null)
          .map((url) => `${url}/v1`)
          .join('  '),
      ],
      ['Listens', status.listen_addr ?? ''],
      [
        'Engines',
        `${status.engines.running} running of ${status.engines.known} known, ${status.models} models`,
      ],
      ['Requests', `${status.requests} under way`],
      ['Since', status.started_at ?? ''],
      ['Data', status.data_dir],
    ]),
  ].join('\n');
}
