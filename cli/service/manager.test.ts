/** What is asked of systemd and launchd, in which order, and what is left where they refuse. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { errorOf } from '../../test/support/thrown';
import { accountFor } from './machine';
import { type Machine, managerOf } from './manager';

interface Fake extends Machine {
  readonly asked: string[];
}

/** `answers`: exit code and output of what begins so; everything else goes well. */
function machine(
  data: TestDir,
  over: Partial<Machine> = {},
  answers: Record<string, readonly [number, string]> = {},
): Fake {
  const asked: string[] = [];
  return {
    platform: 'linux',
    env: { HOME: data.dir },
    uid: 1000,
    hasSystemd: true,
    root: data.dir,
    async run(words) {
      const line = words.join(' ');
      asked.push(line);
      const answer = Object.entries(answers).find(([start]) => line.startsWith(start));
      const [code, output] = answer?.[1] ?? [0, ''];
      return { code, output };
    },
    asked,
    ...over,
  };
}

const options = { program: ['/usr/bin/flm'], dataDir: '/data', user: null };

describe('systemd', () => {
  test('is given the unit of a user, and asked to start it; a second time as well', async () => {
    using data = testDir();
    const fake = machine(data);
    const manager = managerOf(fake, false);
    const path = join(data.dir, '.config/systemd/user/flm.service');
    expect(await manager.state()).toMatchObject({ installed: false, enabled: false, active: false });
    expect(fake.asked).toEqual([]);
    const state = await manager.install(options);
    expect(state).toEqual({
      manager: 'systemd',
      scope: 'user',
      path,
      installed: true,
      enabled: true,
      active: true,
    });
    expect(fake.asked.slice(0, 3)).toEqual([
      'systemctl --user daemon-reload',
      'systemctl --user enable flm.service',
      'systemctl --user restart flm.service',
    ]);
    const unit = readFileSync(path, 'utf8');
    expect(await manager.install(options)).toEqual(state);
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual([unit, 0o644]);
  });

  test('is given the unit of the system below /etc', async () => {
    using data = testDir();
    const fake = machine(data, { uid: 0 });
    const { path, scope } = await managerOf(fake, true).install({ ...options, user: 'flm' });
    expect([path, scope]).toEqual([join(data.dir, 'etc/systemd/system/flm.service'), 'system']);
    expect(fake.asked[0]).toBe('systemctl daemon-reload');
    expect(readFileSync(path, 'utf8')).toContain('\nUser=flm\n');
  });

  test('removes the unit, and does nothing where there is none', async () => {
    using data = testDir();
    const fake = machine(data);
    const manager = managerOf(fake, false);
    expect((await manager.uninstall()).installed).toBe(false);
    expect(fake.asked).toEqual([]);
    const { path } = await manager.install(options);
    fake.asked.length = 0;
    expect(await manager.uninstall()).toMatchObject({ installed: false, active: false });
    expect(existsSync(path)).toBe(false);
    expect(fake.asked).toEqual([
      'systemctl --user disable --now flm.service',
      'systemctl --user daemon-reload',
    ]);
  });

  test('says what systemd said', async () => {
    using data = testDir();
    const said = 'Failed to connect to bus: No medium found\n';
    const fake = machine(data, {}, { 'systemctl --user daemon-reload': [1, said] });
    const error = await errorOf(() => managerOf(fake, false).install(options));
    expect(error.code).toBe('SERVICE_UNAVAILABLE');
    expect(error.message).toContain('Failed to connect to bus: No medium found');
  });
});

describe('launchd', () => {
  test('is given an agent or a daemon, in place of one that is there', async () => {
    using data = testDir();
    const answers = {
      'launchctl print': [0, 'x = {\n\tstate = running\n'],
      'launchctl bootout': [3, 'not there'],
    } as const;
    const fake = machine(data, { platform: 'darwin' }, answers);
    const state = await managerOf(fake, false).install(options);
    expect(state).toMatchObject({ manager: 'launchd', installed: true, active: true });
    expect(fake.asked).toEqual([
      'launchctl bootout gui/1000/dev.flm.proxy',
      `launchctl bootstrap gui/1000 ${state.path}`,
      'launchctl print gui/1000/dev.flm.proxy',
    ]);
    expect(await managerOf(fake, false).uninstall()).toMatchObject({ installed: false, active: false });
    const daemon = await managerOf(machine(data, { platform: 'darwin' }, answers), true).install({
      ...options,
      user: 'flm',
    });
    expect(daemon.path).toBe(join(data.dir, 'Library/LaunchDaemons/dev.flm.proxy.plist'));
  });
});

test('a machine without a service manager is told so', async () => {
  using data = testDir();
  for (const over of [{ hasSystemd: false }, { platform: 'win32' }] as const) {
    const error = await errorOf(() => managerOf(machine(data, over), false));
    expect([error.code, error.exit]).toEqual(['SERVICE_UNAVAILABLE', 1]);
    expect(error.hint).toContain('flm proxy start');
  }
});

describe('the account of a system service', () => {
  const passwd = {
    'getent passwd ada': [0, 'ada:x:1001:1002:Ada:/home/ada:/bin/sh\n'],
    getent: [2, ''],
  } as const;

  test('is the one that is named, or who called sudo, with the data directory of its own', async () => {
    using data = testDir();
    const ada = { name: 'ada', uid: 1001, gid: 1002, dataDir: '/home/ada/.local/share/flm' };
    expect(await accountFor(machine(data, { uid: 0 }, passwd), 'ada')).toEqual(ada);
    const sudo = machine(data, { uid: 0, env: { SUDO_USER: 'ada' } }, passwd);
    expect(await accountFor(sudo, undefined)).toEqual(ada);
    const elsewhere = machine(data, { uid: 0, env: { FLM_DATA_DIR: '/srv/flm' } }, passwd);
    expect((await accountFor(elsewhere, 'ada')).dataDir).toBe('/srv/flm');
  });

  test.each([
    [{ uid: 1000 }, 'ada', 'only root'],
    [{ uid: 0 }, undefined, 'as whom'],
    [{ uid: 0 }, 'nobody-here', 'no user "nobody-here"'],
  ] as const)('is refused: %p %p', async (over, name, said) => {
    using data = testDir();
    const error = await errorOf(() => accountFor(machine(data, over, passwd), name));
    expect(error.code).toBe('SERVICE_UNAVAILABLE');
    expect(error.message).toContain(said);
  });
});
