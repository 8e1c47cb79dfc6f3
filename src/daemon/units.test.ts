/** What service managers are given: as in test/golden/service, escaped where it has to be, and fine with systemd itself. */
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isImpossible, lacksProgram } from '../../test/support/missing';
import { launchdPlist, type ServiceOptions, systemdUnit } from './units';

const GOLDEN = join(import.meta.dir, '../../test/golden/service');
const golden = (name: string) => readFileSync(join(GOLDEN, name), 'utf8');

const user: ServiceOptions = {
  program: ['/usr/local/bin/flm'],
  dataDir: '/home/ada/.local/share/flm',
  user: null,
};
const system: ServiceOptions = { ...user, dataDir: '/var/lib/flm', user: 'flm' };
/** Everything that a path may hold and a unit reads otherwise. */
const awkward: ServiceOptions = {
  program: ['/opt/my runtime/bun', '/opt/100% "flm" $HOME\\x/main.ts'],
  dataDir: '/srv/data & <more> 50% "x" $Y\\z',
  user: 'flm',
};

test('systemd units are as in the golden files', () => {
  expect(systemdUnit(user)).toBe(golden('user.service'));
  expect(systemdUnit(system)).toBe(golden('system.service'));
});

test('launchd property lists are as in the golden files', () => {
  expect(launchdPlist(user, '/Users/ada/flm.log')).toBe(golden('agent.plist'));
  expect(launchdPlist(system, '/var/lib/flm/logs/flm.log')).toBe(golden('daemon.plist'));
});

test('nothing in a path means anything to systemd or XML', () => {
  const unit = systemdUnit(awkward);
  expect(unit).toContain(
    'ExecStart="/opt/my runtime/bun" "/opt/100%% \\"flm\\" $$HOME\\\\x/main.ts" proxy start --no-daemon',
  );
  expect(unit).toContain('Environment="FLM_DATA_DIR=/srv/data & <more> 50%% \\"x\\" $Y\\\\z"');
  expect(unit).toContain('ReadWritePaths="/srv/data & <more> 50%% \\"x\\" $Y\\\\z"');
  const plist = launchdPlist(awkward, '/log');
  expect(plist).toContain('<string>/srv/data &amp; &lt;more&gt; 50% "x" $Y\\z</string>');
});

describe('systemd-analyze', () => {
  const missing = lacksProgram('systemd-analyze');
  test.skipIf(isImpossible('to have systemd look at the units', missing)).each([
    ['of a user', { ...user, program: [process.execPath] }],
    ['of the system', { ...system, program: [process.execPath], user: 'root' }],
  ])('finds nothing in the unit %s', async (_, options) => {
    const dir = mkdtempSync(join(tmpdir(), 'flm-unit-'));
    const path = join(dir, 'flm-of-test.service');
    writeFileSync(path, systemdUnit(options));
    const scope = options.user === null ? '--user' : '--system';
    const child = Bun.spawn(['systemd-analyze', 'verify', scope, '--man=no', path], {
      env: { ...process.env, XDG_RUNTIME_DIR: dir, SYSTEMD_LOG_LEVEL: 'warning' },
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const said = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
    await child.exited;
    rmSync(dir, { recursive: true });
    // It looks at everything those units need, too; only what it says of ours counts.
    expect(said.split('\n').filter((line) => line.includes('flm-of-test'))).toEqual([]);
  });
});
