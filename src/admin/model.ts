/** The state of this FLM, and what the CLI needs of a running one. */
import { type Static, Type } from '@sinclair/typebox';
import { RUN_BY } from '../daemon';
import { EgressStatus } from '../egress';
import { nullable, oneOf } from '../lib/schema';
import { MODES, ProxyView } from '../listeners';

export const AdminPort = Type.Object(
  {
    url: nullable(Type.String(), { examples: ['http://127.0.0.1:7843'] }),
    reason: nullable(Type.String(), { description: 'Why there is none.' }),
  },
  { description: 'Where browsers and scripts reach the admin API.' },
);
export type AdminPort = Static<typeof AdminPort>;

export const Status = Type.Object(
  {
    running: Type.Boolean(),
    id: nullable(Type.String(), { examples: ['proxy-8080'] }),
    pid: nullable(Type.Integer()),
    version: Type.String(),
    data_dir: Type.String(),
    mode: nullable(oneOf(MODES)),
    listen_addr: nullable(Type.String(), { examples: ['127.0.0.1:8080'] }),
    endpoints: Type.Object({
      localhost: nullable(Type.String()),
      local_network: nullable(Type.String(), { description: 'The first of local_networks.' }),
      local_networks: Type.Array(Type.String(), {
        description: 'In private networks: that of the default route first, those of containers last.',
      }),
      public: Type.Array(Type.String(), { description: 'Where strangers can reach it.' }),
    }),
    admin: AdminPort,
    run_by: nullable(oneOf(RUN_BY), {
      description: 'Who starts FLM again when it dies; foreground: nobody. Null while it does not run.',
    }),
    egress: EgressStatus,
    proxies: Type.Array(ProxyView, {
      description: 'All of them; the fields above tell of the first that runs.',
    }),
    started_at: nullable(Type.String({ format: 'date-time' })),
    requests: Type.Integer({ description: 'Requests that engines work on, or that wait for one.' }),
    engines: Type.Object({ running: Type.Integer(), known: Type.Integer() }),
    models: Type.Integer(),
    security_db_key: nullable(oneOf(['keychain', 'file', 'passphrase']), {
      description: 'Where the key of security.db comes from; null where FLM has never run.',
    }),
  },
  { description: 'How FLM is.' },
);
export type Status = Static<typeof Status>;

export const CheckReport = Type.Object(
  {
    status: oneOf(['ok', 'warning', 'error'], { description: 'The worst of the checks.' }),
    checks: Type.Array(
      Type.Object({ name: Type.String(), status: oneOf(['ok', 'warning', 'error']), message: Type.String() }),
    ),
  },
  { description: 'What an examination of this installation found (FLM-038).' },
);
export type CheckReport = Static<typeof CheckReport>;

export const SupportBundle = Type.Object(
  {
    files: Type.Array(Type.Object({ name: Type.String({ examples: ['check.json'] }), text: Type.String() })),
  },
  { description: "What helps to find out what is wrong, without anything that is nobody else's business." },
);
export type SupportBundle = Static<typeof SupportBundle>;
