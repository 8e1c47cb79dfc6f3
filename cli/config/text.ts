/** What a change of a setting did, in words. */
import { envNameOf, type SettingChange, type SettingKey } from '../../src/config';

export function changeText({ key, value, effect }: SettingChange): string {
  const now = `${key} is ${value === '' ? '(none)' : value}.`;
  switch (effect) {
    case 'applied':
      return now;
    case 'restart-required':
      return `${now} FLM uses it after its next start.`;
    case 'shadowed-by-env':
      return `${now} The change is stored, but $${envNameOf(key as SettingKey)} wins over it.`;
    case 'shadowed-by-flag':
      return `${now} The change is stored, but FLM was started with an option that wins over it.`;
  }
}
