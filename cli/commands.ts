/** Every command of FLM, one line each. */
import type { FlmCommand, FlmGroup } from './command';

type Load = () => Promise<{ readonly default: FlmCommand }>;

const verb = (load: Load) => async () => (await load()).default;

export const PROGRAM: FlmGroup = {
  about:
    'The front door of your own language models: one safe OpenAI-compatible API for the engines on your machines.',
  commands: {
    up: verb(() => import('./up')),
    status: verb(() => import('./status')),
    proxy: {
      about: 'FLM in the background: its listeners, started, stopped and replaced.',
      commands: {
        start: verb(() => import('./proxy/start')),
        stop: verb(() => import('./proxy/stop')),
        status: verb(() => import('./proxy/status')),
        reload: verb(() => import('./proxy/reload')),
        restart: verb(() => import('./proxy/restart')),
        onion: {
          about: 'Reaching a proxy through Tor.',
          commands: {
            status: verb(() => import('./proxy/onion/status')),
            rotate: verb(() => import('./proxy/onion/rotate')),
            remove: verb(() => import('./proxy/onion/remove')),
          },
        },
      },
    },
    service: {
      about: 'FLM as a service of systemd or launchd.',
      commands: {
        install: verb(() => import('./service/install')),
        uninstall: verb(() => import('./service/uninstall')),
        status: verb(() => import('./service/status')),
      },
    },
    engines: {
      about: 'Where the models run.',
      commands: {
        detect: verb(() => import('./engines/detect')),
        list: verb(() => import('./engines/list')),
        add: verb(() => import('./engines/add')),
        remove: verb(() => import('./engines/remove')),
        'health-history': verb(() => import('./engines/health-history')),
        try: verb(() => import('./engines/try')),
      },
    },
    models: {
      about: 'What the engines have, and by which names clients ask for it.',
      commands: {
        list: verb(() => import('./models/list')),
        show: verb(() => import('./models/show')),
        alias: {
          about: 'Names of your own for models.',
          commands: {
            set: verb(() => import('./models/alias/set')),
            list: verb(() => import('./models/alias/list')),
            remove: verb(() => import('./models/alias/remove')),
          },
        },
        strategy: {
          about: 'How to choose among engines that have the same model.',
          commands: {
            set: verb(() => import('./models/strategy/set')),
            unset: verb(() => import('./models/strategy/unset')),
            list: verb(() => import('./models/strategy/list')),
          },
        },
      },
    },
    egress: {
      about: 'How requests leave this machine: straight, or through Tor or a SOCKS5 server.',
      commands: {
        status: verb(() => import('./egress/status')),
        test: verb(() => import('./egress/test')),
        login: {
          about: 'What the SOCKS5 server is told when it asks who is there.',
          commands: {
            set: verb(() => import('./egress/login/set')),
            remove: verb(() => import('./egress/login/remove')),
          },
        },
      },
    },
    'api-keys': {
      about: 'Who may use FLM.',
      commands: {
        create: verb(() => import('./api-keys/create')),
        list: verb(() => import('./api-keys/list')),
        update: verb(() => import('./api-keys/update')),
        rotate: verb(() => import('./api-keys/rotate')),
        collect: verb(() => import('./api-keys/collect')),
        revoke: verb(() => import('./api-keys/revoke')),
      },
    },
    config: {
      about: 'The settings.',
      commands: {
        list: verb(() => import('./config/list')),
        get: verb(() => import('./config/get')),
        set: verb(() => import('./config/set')),
        unset: verb(() => import('./config/unset')),
        explain: verb(() => import('./config/explain')),
      },
    },
    admin: {
      about: 'Who may use the admin API from a browser or a script.',
      commands: {
        token: verb(() => import('./admin/token')),
        sessions: {
          about: 'Browsers and scripts that are signed in.',
          commands: {
            list: verb(() => import('./admin/sessions/list')),
            revoke: verb(() => import('./admin/sessions/revoke')),
          },
        },
      },
    },
    security: {
      about: 'What guards FLM, and the evidence of what was done with it.',
      commands: {
        'install-ca': verb(() => import('./security/install-ca')),
        'uninstall-ca': verb(() => import('./security/uninstall-ca')),
        ca: {
          about: 'The certificate authority of this installation. Alone: status.',
          bare: 'status',
          commands: {
            status: verb(() => import('./security/ca/status')),
            export: verb(() => import('./security/ca/export')),
            rotate: verb(() => import('./security/ca/rotate')),
          },
        },
        certificates: {
          about: 'The certificates that FLM shows. Alone: list.',
          bare: 'list',
          commands: {
            list: verb(() => import('./security/certificates/list')),
            import: verb(() => import('./security/certificates/import')),
            remove: verb(() => import('./security/certificates/remove')),
          },
        },
        policy: {
          about: 'What strangers and clients may do here: one document. Alone: show.',
          bare: 'show',
          commands: {
            show: verb(() => import('./security/policy/show')),
            get: verb(() => import('./security/policy/get')),
            set: verb(() => import('./security/policy/set')),
            edit: verb(() => import('./security/policy/edit')),
            validate: verb(() => import('./security/policy/validate')),
            history: verb(() => import('./security/policy/history')),
            rollback: verb(() => import('./security/policy/rollback')),
            schema: verb(() => import('./security/policy/schema')),
          },
        },
        'ip-whitelist': {
          about: 'Who may come at all, before any key is looked at. Alone: list.',
          bare: 'list',
          commands: {
            list: verb(() => import('./security/ip-whitelist/list')),
            add: verb(() => import('./security/ip-whitelist/add')),
            remove: verb(() => import('./security/ip-whitelist/remove')),
          },
        },
        'audit-logs': {
          about: 'Who changed what: a record that nobody can quietly edit. Alone: list.',
          bare: 'list',
          commands: {
            list: verb(() => import('./security/audit-logs/list')),
            watch: verb(() => import('./security/audit-logs/watch')),
            export: verb(() => import('./security/audit-logs/export')),
            verify: verb(() => import('./security/audit-logs/verify')),
            checkpoint: verb(() => import('./security/audit-logs/checkpoint')),
            erase: verb(() => import('./security/audit-logs/erase')),
          },
        },
        exposure: verb(() => import('./security/exposure')),
        alerts: {
          about:
            'What you are told of, and where: rules, webhooks, and what became of messages. Alone: list.',
          bare: 'list',
          commands: {
            list: verb(() => import('./security/alerts/list')),
            set: verb(() => import('./security/alerts/set')),
            remove: verb(() => import('./security/alerts/remove')),
            targets: {
              about: 'Where alerts go: the log, and webhooks.',
              commands: {
                list: verb(() => import('./security/alerts/targets/list')),
                add: verb(() => import('./security/alerts/targets/add')),
                remove: verb(() => import('./security/alerts/targets/remove')),
                key: verb(() => import('./security/alerts/targets/key')),
              },
            },
            deliveries: verb(() => import('./security/alerts/deliveries')),
            test: verb(() => import('./security/alerts/test')),
          },
        },
        'ip-blocklist': {
          about: 'Who is banned. Alone: list.',
          bare: 'list',
          commands: {
            list: verb(() => import('./security/ip-blocklist/list')),
            show: verb(() => import('./security/ip-blocklist/show')),
            add: verb(() => import('./security/ip-blocklist/add')),
            unblock: verb(() => import('./security/ip-blocklist/unblock')),
            clear: verb(() => import('./security/ip-blocklist/clear')),
          },
        },
        intrusion: verb(() => import('./security/intrusion')),
        anomaly: verb(() => import('./security/anomaly')),
        stats: verb(() => import('./security/stats')),
      },
    },
    activity: {
      about: 'The request log: who asked for what, and what came of it.',
      commands: {
        list: verb(() => import('./activity/list')),
        stats: verb(() => import('./activity/stats')),
        refusals: verb(() => import('./activity/refusals')),
        export: verb(() => import('./activity/export')),
        verify: verb(() => import('./activity/verify')),
        erase: verb(() => import('./activity/erase')),
      },
    },
    chat: verb(() => import('./chat')),
    check: verb(() => import('./check')),
    support: {
      about: 'When something is wrong.',
      commands: { bundle: verb(() => import('./support/bundle')) },
    },
    completions: async () => (await import('./completions')).completionsOf(PROGRAM),
    version: verb(() => import('./version')),
  },
};
