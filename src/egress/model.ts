/** The way out as it is shown and tried, and what the CLI needs of it. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';
import { MODES } from './settings';

export const EgressMode = oneOf(MODES);
export type EgressMode = Static<typeof EgressMode>;

export const EgressStatus = Type.Object(
  {
    mode: EgressMode,
    endpoint: nullable(Type.String(), {
      examples: ['tor://127.0.0.1:9050'],
      description: 'Where the tunnel begins; null without one.',
    }),
    state: oneOf(['direct', 'starting', 'up', 'down', 'bypassed'], {
      description:
        'direct: there is no tunnel. down: nothing leaves this machine. bypassed: it is down, and requests go straight out (egress.fail_open).',
    }),
    reason: nullable(Type.String(), { description: 'Why it is down.' }),
    since: nullable(Type.String({ format: 'date-time' })),
    fail_open: Type.Boolean(),
    private_addresses: oneOf(['tunnel', 'direct'], {
      description: 'The way to engines with addresses of private networks.',
    }),
    has_login: Type.Boolean({ description: 'Whether there is a user name for the SOCKS server.' }),
  },
  { description: 'How requests leave this machine.' },
);
export type EgressStatus = Static<typeof EgressStatus>;

export const EgressTestInput = Type.Object(
  {
    url: Type.Optional(
      Type.String({
        maxLength: 2_000,
        description: 'What to ask for. Default: every engine that is not on this machine.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type EgressTestInput = Static<typeof EgressTestInput>;

export const EgressTestReport = Type.Object(
  {
    ok: Type.Boolean(),
    tunnel: nullable(
      Type.Object({
        endpoint: nullable(Type.String()),
        reached: Type.Boolean(),
        latency_ms: nullable(Type.Integer()),
        error: nullable(Type.String()),
      }),
      { description: 'null: there is none.' },
    ),
    targets: Type.Array(
      Type.Object({
        name: Type.String({ description: 'The id of an engine, or the URL.' }),
        url: Type.String(),
        route: oneOf(['direct', 'tunnel']),
        dns: oneOf(['tunnel', 'here', 'none'], {
          description: 'Who looks its name up; none: it is an address.',
        }),
        reached: Type.Boolean(),
        status: nullable(Type.Integer(), { description: 'What it answered.' }),
        latency_ms: nullable(Type.Integer()),
        error: nullable(Type.String()),
      }),
    ),
  },
  { description: 'Which way requests leave, and whether they arrive.' },
);
export type EgressTestReport = Static<typeof EgressTestReport>;

/** RFC 1929 §2 gives each a byte for its length. */
const LoginPart = (description: string) => Type.String({ minLength: 1, maxLength: 255, description });

export const EgressLoginInput = Type.Object(
  {
    user: Type.Optional(LoginPart('The user name for the SOCKS server.')),
    password: LoginPart('Kept encrypted, and never shown.'),
    tor_control: Type.Optional(
      Type.Boolean({ description: "The password is that of tor's control port, which knows no users." }),
    ),
  },
  { additionalProperties: false },
);
export type EgressLoginInput = Static<typeof EgressLoginInput>;

/** What the owner can do about the way out. */
export interface EgressApi {
  status(): Promise<EgressStatus>;
  /** @throws EGRESS_REFUSED for a URL that is none */
  test(input: EgressTestInput): Promise<EgressTestReport>;
  /** Keeps what the SOCKS server, or tor's control port, is told when it asks who is there. @throws INVALID_INPUT */
  setLogin(input: EgressLoginInput): Promise<EgressStatus>;
  /** Forgets both. */
  removeLogin(): Promise<EgressStatus>;
}
