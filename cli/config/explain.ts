/** `flm config explain` */
import type { SettingExplanation } from '../../src/config';
import { withBackend } from '../backend';
import { command } from '../command';
import { columns } from '../table';
import { SETTING_WORD } from './setting';

export default command({
  about: 'Say what a setting is for, what it takes, and where its value comes from.',
  args: { key: SETTING_WORD },
  examples: ['flm config explain proxy.port'],
  async run({ cli, args }) {
    const explanation = await withBackend(cli, (backend) => backend.config.explain(args.key));
    cli.result(explanation, () => textOf(explanation));
  },
});

function textOf({ key, about, takes, apply, value, sources }: SettingExplanation): string {
  const rows = sources.map((source) => {
    const shown = source.value === null ? '-' : source.value === '' ? '(none)' : source.value;
    return [`${source.wins ? '>' : ' '} ${source.source} (${source.where})`, shown] as const;
  });
  return [
    `${key} = ${value === '' ? '(none)' : value}`,
    about,
    `Takes ${takes}. A change is in force ${apply === 'live' ? 'at once' : 'after the next start'}.`,
    columns(rows),
  ].join('\n');
}
