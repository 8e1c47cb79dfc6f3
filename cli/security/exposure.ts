/** `flm security exposure` */
import type { ExposureReport } from '../../src/listeners';
import { withBackend } from '../backend';
import { withProgress } from '../cli';
import { command } from '../command';
import { table } from '../table';

const FROM = {
  'this-machine': 'this machine',
  'this-network': 'this network',
  internet: 'the internet',
  tor: 'everywhere, through Tor',
} as const;
const MARKS = { ok: '✓', warning: '!', open: '✗' } as const;
const HOW = {
  'without-key': 'to everybody',
  'with-key': 'with a key of its own',
  unknown: 'and could not be asked what it is',
} as const;

export default command({
  about: 'Find out what can be reached from where, and which engines answer without FLM in front.',
  details: [
    'Tries every address of this machine; nothing is asked of other machines.',
    'Exit code 1: something is open that should not be.',
  ],
  examples: ['flm security exposure', 'flm security exposure --json'],
  async run({ cli }) {
    const report = await withProgress(cli, 'Trying', () => withBackend(cli, (backend) => backend.exposure()));
    cli.result(report, () => exposureText(report));
    if (report.status === 'open') cli.fail(1);
  },
});

export function exposureText({ listeners, engines, addresses, status }: ExposureReport): string {
  const doors = table(
    ['LISTENER', 'ADDRESS', 'REACHED FROM', 'TLS'],
    listeners.map(({ id, address, reach, tls, running, verdict, advice }) => ({
      cells: [
        id,
        address,
        FROM[reach],
        running ? (reach === 'tor' ? 'by Tor' : tls ? 'yes' : 'no') : 'not running',
      ],
      below: advice === null || verdict === 'ok' ? advice : `${MARKS[verdict]} ${advice}`,
    })),
    'FLM listens nowhere.',
  );
  const places = engines.map(({ engine, port, verdict, open_at: at, advice }) => {
    if (at.length === 0) return `${MARKS[verdict]} ${engine} (port ${port}) answers on this machine only.`;
    const open = at.map(
      ({ address, reach, answers }) =>
        `${MARKS[verdict]} ${engine} answers at ${address} port ${port} without FLM in front, ${HOW[answers]} (${FROM[reach]}).`,
    );
    return [...open, `  ${advice ?? ''}`].join('\n');
  });
  const summary = {
    ok: `Nothing is open that should not be, at ${addresses.length === 0 ? 'no address' : addresses.join(', ')}.`,
    warning: 'Nothing is wide open. What is marked with ! deserves a look.',
    open: 'What is marked with ✗ is open and should not be.',
  }[status];
  return [doors, '', ...places, ...(places.length === 0 ? [] : ['']), summary].join('\n');
}
