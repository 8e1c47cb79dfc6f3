/** What people type who know other programs: no commands of FLM, but a hint which of them they mean. */

/** By group; a name of a command there, or a sentence where FLM has none. */
export const OTHER_WORDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '': {
    serve: 'up',
    start: 'up',
    run: 'up',
    stop: 'Press Ctrl-C where "flm up" runs, or end the process that "flm status" shows.',
    down: 'Press Ctrl-C where "flm up" runs, or end the process that "flm status" shows.',
    keys: 'api-keys',
    key: 'api-keys',
    settings: 'config',
    doctor: 'check',
    ps: 'status',
  },
  engines: { rm: 'remove', delete: 'remove', ls: 'list', create: 'add', scan: 'detect', install: 'try' },
  models: { ls: 'list' },
  'api-keys': { rm: 'revoke', delete: 'revoke', remove: 'revoke', ls: 'list', add: 'create', new: 'create' },
  config: { reset: 'unset', rm: 'unset', delete: 'unset', remove: 'unset', ls: 'list', show: 'list' },
};
