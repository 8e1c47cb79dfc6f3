/** Shapes of the configuration API. Values travel as text (FLM-131), exactly as `config set` takes them. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';

export const SettingSource = oneOf(['flag', 'env', 'database', 'file', 'default'], {
  description: 'Which of the five sources the value comes from; the first in this order wins.',
});
export type SettingSource = Static<typeof SettingSource>;

export const SettingView = Type.Object(
  {
    key: Type.String({ examples: ['proxy.port'] }),
    value: Type.String({ examples: ['8080'] }),
    source: SettingSource,
    default: Type.String(),
    apply: oneOf(['live', 'restart']),
    waits: Type.Boolean({
      description: 'Whether the FLM that runs still uses another value, until its next start.',
    }),
  },
  { description: 'One setting as it stands.' },
);
export type SettingView = Static<typeof SettingView>;

export const SettingList = Type.Object(
  { items: Type.Array(SettingView), next: Type.Null() },
  { description: 'All settings.' },
);
export type SettingList = Static<typeof SettingList>;

export const SettingExplanation = Type.Object(
  {
    key: Type.String(),
    about: Type.String(),
    takes: Type.String(),
    apply: oneOf(['live', 'restart']),
    value: Type.String(),
    source: SettingSource,
    sources: Type.Array(
      Type.Object({
        source: SettingSource,
        where: Type.String({ examples: ['FLM_PROXY_PORT'] }),
        value: nullable(Type.String()),
        wins: Type.Boolean(),
      }),
    ),
  },
  { description: 'A setting, what it is for, and what each source says.' },
);
export type SettingExplanation = Static<typeof SettingExplanation>;

export const SettingChange = Type.Object(
  {
    key: Type.String(),
    value: Type.String({ description: 'The value in force after the change.' }),
    effect: oneOf(['applied', 'restart-required', 'shadowed-by-env', 'shadowed-by-flag']),
  },
  { description: 'What a change did.' },
);
export type SettingChange = Static<typeof SettingChange>;

export const SettingInput = Type.Object(
  { value: Type.String({ maxLength: 10_000 }) },
  { additionalProperties: false },
);

/** What the CLI needs of the configuration, whether FLM runs or not. */
export interface ConfigApi {
  list(): Promise<SettingList>;
  /** @throws CONFIG_NOT_SET */
  get(key: string): Promise<SettingView>;
  /** @throws CONFIG_NOT_SET, CONFIG_INVALID */
  set(key: string, value: string): Promise<SettingChange>;
  /** @throws CONFIG_NOT_SET */
  unset(key: string): Promise<SettingChange>;
  /** @throws CONFIG_NOT_SET */
  explain(key: string): Promise<SettingExplanation>;
}
