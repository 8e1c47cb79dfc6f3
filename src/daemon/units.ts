/** How service managers start FLM: a systemd unit (systemd.service(5)) and a launchd property list (launchd.plist(5)). */

export interface ServiceOptions {
  /** The command line of FLM itself: executable, or runtime and script. */
  readonly program: readonly string[];
  readonly dataDir: string;
  /** The account of a service of the whole system; null for a service of whoever installs it. */
  readonly user: string | null;
}

export const UNIT_NAME = 'flm.service';
export const LAUNCHD_LABEL = 'dev.flm.proxy';

/** Longer than proxy.drain_ms by default, and what comes after it. */
const STOP_SECONDS = 45;

/**
 * A unit of `Type=notify`: FLM says when it serves, and systemd starts it again when it dies or no longer answers. A unit of
 * one user goes without the options that need namespaces, which many systems do not let users have.
 */
export function systemdUnit({ program, dataDir, user }: ServiceOptions): string {
  const flm = (...words: readonly string[]) => [...program.map(execWord), ...words].join(' ');
  const isSystem = user !== null;
  return `${[
    '# Written by "flm service install", which writes it anew when it is run again.',
    '[Unit]',
    'Description=FLM, the front door of your own language models',
    ...(isSystem ? ['Wants=network-online.target', 'After=network-online.target'] : []),
    '',
    '[Service]',
    'Type=notify',
    `ExecStart=${flm('proxy', 'start', '--no-daemon', '--json')}`,
    `ExecReload=${flm('proxy', 'reload', '--all', '--json')}`,
    `Environment=${quoted(`FLM_DATA_DIR=${dataDir}`)}`,
    ...(isSystem ? [`User=${user}`] : []),
    'Restart=on-failure',
    'RestartSec=1',
    '# A configuration that FLM cannot start with is not mended by starting it again.',
    'RestartPreventExitStatus=3',
    'WatchdogSec=30',
    'TimeoutStartSec=60',
    '# Requests under way may finish: proxy.drain_ms. FLM ends its own children.',
    `TimeoutStopSec=${STOP_SECONDS}`,
    'KillMode=mixed',
    '',
    'UMask=0077',
    'NoNewPrivileges=yes',
    'LockPersonality=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    ...(isSystem
      ? [
          'ProtectSystem=strict',
          `ReadWritePaths=${quoted(dataDir)}`,
          'PrivateTmp=yes',
          'ProtectKernelTunables=yes',
          'ProtectKernelModules=yes',
          'ProtectControlGroups=yes',
          'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
        ]
      : []),
    '',
    '[Install]',
    `WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}`,
  ].join('\n')}\n`;
}

/** A word of a command line: quoted, and without anything that systemd would replace. */
function execWord(word: string): string {
  return quoted(word).replaceAll('$', '$$$$');
}

/** systemd.syntax(7): in double quotes with C escapes; `%` starts a specifier. */
function quoted(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `"${escaped.replaceAll('%', '%%')}"`;
}

/** An agent of one user, or a daemon of the whole system. launchd starts it again unless it ends well. */
export function launchdPlist({ program, dataDir, user }: ServiceOptions, logPath: string): string {
  const words = [...program, 'proxy', 'start', '--no-daemon', '--json'];
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    '<dict>',
    ...entry('Label', string(LAUNCHD_LABEL)),
    ...entry('ProgramArguments', '<array>', ...words.map((word) => `  ${string(word)}`), '</array>'),
    ...entry(
      'EnvironmentVariables',
      '<dict>',
      '  <key>FLM_DATA_DIR</key>',
      `  ${string(dataDir)}`,
      '</dict>',
    ),
    ...(user === null ? [] : entry('UserName', string(user))),
    ...entry('RunAtLoad', '<true/>'),
    ...entry('KeepAlive', '<dict>', '  <key>SuccessfulExit</key>', '  <false/>', '</dict>'),
    ...entry('ThrottleInterval', '<integer>5</integer>'),
    ...entry('ExitTimeOut', `<integer>${STOP_SECONDS}</integer>`),
    ...entry('ProcessType', string('Interactive')),
    ...entry('Umask', '<integer>63</integer>'),
    ...entry('StandardErrorPath', string(logPath)),
    '</dict>',
    '</plist>',
  ].join('\n')}\n`;
}

function entry(key: string, ...value: readonly string[]): string[] {
  return [`  <key>${key}</key>`, ...value.map((line) => `  ${line}`)];
}

function string(text: string): string {
  return `<string>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</string>`;
}
