/** What people type who know other programs: no commands of FLM, but a hint which of them they mean. */

/** By group; a name of a command there, or a sentence where FLM has none. */
export const OTHER_WORDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '': {
    serve: 'up',
    start: 'Here: flm up. In the background: flm proxy start.',
    run: 'up',
    stop: 'Press Ctrl-C where "flm up" runs; in the background: flm proxy stop --all.',
    down: 'Press Ctrl-C where "flm up" runs; in the background: flm proxy stop --all.',
    restart: 'FLM in the background: flm proxy restart.',
    reload: 'Settings are read again by: flm proxy reload --all.',
    daemon: 'proxy',
    install: 'As a service: flm service install.',
    keys: 'api-keys',
    key: 'api-keys',
    settings: 'config',
    doctor: 'check',
    ps: 'status',
  },
  proxy: { ls: 'status', list: 'status', up: 'start', run: 'start', down: 'stop', upgrade: 'restart' },
  service: { enable: 'install', remove: 'uninstall', disable: 'uninstall', start: 'install' },
  engines: { rm: 'remove', delete: 'remove', ls: 'list', create: 'add', scan: 'detect', install: 'try' },
  models: { ls: 'list' },
  'api-keys': { rm: 'revoke', delete: 'revoke', remove: 'revoke', ls: 'list', add: 'create', new: 'create' },
  'security policy': { ls: 'show', check: 'validate', versions: 'history', log: 'history', undo: 'rollback' },
  'security ip-whitelist': { rm: 'remove', delete: 'remove', ls: 'list', show: 'list', allow: 'add' },
  config: { reset: 'unset', rm: 'unset', delete: 'unset', remove: 'unset', ls: 'list', show: 'list' },
};
