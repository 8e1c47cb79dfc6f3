/** Who can reach what on this machine: FLM's own listeners, and engines that answer without FLM in front. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../lib/schema';

/** From where an address can be reached. */
export const REACHES = ['this-machine', 'this-network', 'internet'] as const;
export type Reach = (typeof REACHES)[number];

/** `open`: it should not be like this. */
export const VERDICTS = ['ok', 'warning', 'open'] as const;
export type Verdict = (typeof VERDICTS)[number];

const Advice = nullable(Type.String(), { description: 'What to do about it.' });

export const ExposedListener = Type.Object({
  id: Type.String({ examples: ['proxy-8080', 'admin'] }),
  address: Type.String({ examples: ['0.0.0.0:8080'] }),
  running: Type.Boolean({ description: 'False: it is started with FLM.' }),
  reach: oneOf([...REACHES, 'tor'], { description: 'tor: through an onion service, from everywhere.' }),
  urls: Type.Array(Type.String()),
  tls: Type.Boolean(),
  verdict: oneOf(VERDICTS),
  advice: Advice,
});
export type ExposedListener = Static<typeof ExposedListener>;

export const ExposedEngine = Type.Object({
  engine: Type.String(),
  kind: Type.String(),
  port: Type.Integer(),
  open_at: Type.Array(
    Type.Object({
      address: Type.String(),
      reach: oneOf(REACHES),
      answers: oneOf(['without-key', 'with-key', 'unknown'], {
        description: 'unknown: something takes connections there and is not known to be an engine.',
      }),
    }),
    {
      description:
        'Addresses of this machine, besides loopback, where its port answers without FLM in front.',
    },
  ),
  verdict: oneOf(VERDICTS),
  advice: Advice,
});
export type ExposedEngine = Static<typeof ExposedEngine>;

export const ExposureReport = Type.Object(
  {
    status: oneOf(VERDICTS, { description: 'The worst of them.' }),
    listeners: Type.Array(ExposedListener),
    engines: Type.Array(ExposedEngine, { description: 'Engines on this machine.' }),
    addresses: Type.Array(Type.String(), { description: 'Addresses of this machine that were tried.' }),
  },
  { description: 'What can be reached from where, found out by trying.' },
);
export type ExposureReport = Static<typeof ExposureReport>;

export interface ExposureApi {
  exposure(): Promise<ExposureReport>;
}
