/** `flm proxy stop` */
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { SELECTOR_ARGS, selectorOf } from './selector';

export default command({
  about: 'Stop a proxy, and do not start it with FLM any more. FLM itself ends with its last proxy.',
  args: SELECTOR_ARGS,
  details: ['Requests under way may finish: for proxy.drain_ms (30 seconds) at most.'],
  examples: ['flm proxy stop --port 8080', 'flm proxy stop --all'],
  async run({ cli, args }) {
    const selector = selectorOf(args);
    const result = await withProgress(cli, 'Waiting for requests under way', () =>
      withBackend(cli, (backend) => backend.proxies.stop(selector)),
    );
    cli.result(result, () =>
      result.stopped.length === 0 ? 'No proxy was running.' : `Stopped: ${result.stopped.join(', ')}`,
    );
  },
});
