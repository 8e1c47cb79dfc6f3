/** The configuration room: one typed schema, five sources, one frozen snapshot at a time. */
export {
  type ConfigApi,
  type SettingChange,
  type SettingExplanation,
  SettingInput,
  type SettingList,
  type SettingView,
} from './model';
export { type ConfigSnapshot, envNameOf, SETTING_KEYS, SETTINGS, type SettingKey } from './schema';
export { type Config, type ConfigOptions, createConfig, type Reloaded } from './service';
export { parseSetting, readToml } from './sources';
export { createSettingsStore, type SettingsStore } from './store';
