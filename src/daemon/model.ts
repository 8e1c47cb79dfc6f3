/** What processes of one FLM say to each other: at a hand-over, and through the pipes between supervisor and server. */
import { type Static, Type } from '@sinclair/typebox';
import type { RequestFacts } from '../contract';
import { nullable, oneOf } from '../lib/schema';

/** Who starts FLM again when it dies: its own supervisor, a service manager, or nobody. */
export const RUN_BY = ['supervisor', 'service', 'foreground'] as const;
export type RunBy = (typeof RUN_BY)[number];

export const Legacy = Type.Object(
  {
    pid: Type.Integer(),
    version: Type.String(),
    proxies: Type.Array(
      Type.Object({
        mode: oneOf(['local-http', 'packaged-ca', 'dev-selfsigned']),
        bind: Type.String(),
        port: Type.Integer(),
        trustedProxies: Type.Array(Type.String()),
        allowPlaintext: Type.Boolean(),
        allowNoKey: Type.Optional(Type.Boolean()),
        httpsPort: Type.Optional(Type.Integer()),
        onion: Type.Optional(nullable(Type.Object({ clients: Type.Array(Type.String()) }))),
        clientCertificates: Type.Optional(
          nullable(
            Type.Object({
              demand: oneOf(['optional', 'required']),
              caFile: Type.String(),
              crlFile: nullable(Type.String()),
            }),
          ),
        ),
        proxyProtocol: Type.Optional(Type.Boolean()),
      }),
    ),
    elders: Type.Array(Type.Integer(), {
      description: 'Processes replaced before, which still finish something.',
    }),
  },
  { description: 'What the process that gives up the data directory leaves to the next one.' },
);
export type Legacy = Static<typeof Legacy>;

const Text = Type.String({ maxLength: 1_000 });
const Count = Type.Number({ minimum: 0 });

/** RequestFacts; what a later version knows besides is not looked at. */
const Facts = Type.Unsafe<RequestFacts>(
  Type.Object(
    {
      requestId: Type.String({ format: 'uuid' }),
      atMs: Count,
      ip: Text,
      method: Text,
      path: Text,
      principalId: nullable(Text),
      // Not told by versions that did not know it.
      certificate: Type.Optional(nullable(Text)),
      model: nullable(Type.String()),
      engineId: nullable(Text),
      engineModel: nullable(Text),
      attempts: Count,
      isStream: Type.Boolean(),
      outcome: oneOf(['done', 'aborted', 'failed', 'refused']),
      status: Count,
      errorCode: nullable(Text),
      waitedMs: Count,
      firstByteMs: nullable(Count),
      firstTokenMs: nullable(Count),
      durationMs: Count,
      usage: nullable(
        Type.Object({
          promptTokens: Count,
          completionTokens: Count,
          cachedTokens: nullable(Count),
          reasoningTokens: nullable(Count),
        }),
      ),
      trace: Type.Object({
        traceId: Text,
        spanId: Text,
        parentSpanId: nullable(Text),
        isSampled: Type.Boolean(),
      }),
    },
    { additionalProperties: true },
  ),
);

/** Records in one report: the admin API takes a mebibyte. */
export const MAX_REPORT_ROWS = 500;

export const ElderReport = Type.Object(
  {
    pid: Type.Integer(),
    requests: Type.Integer({ minimum: 0, description: 'Requests still under way.' }),
    opened: Type.Array(Facts, { maxItems: MAX_REPORT_ROWS }),
    finished: Type.Array(Facts, { maxItems: MAX_REPORT_ROWS }),
  },
  {
    additionalProperties: false,
    description: 'What a process that was replaced tells once a second until its last request is over.',
  },
);
export type ElderReport = Static<typeof ElderReport>;

export const ElderAnswer = Type.Object(
  { stop: Type.Boolean({ description: 'Whether FLM is being stopped, and the old process with it.' }) },
  { description: 'What the old process is to do.' },
);
export type ElderAnswer = Static<typeof ElderAnswer>;

export const Stopping = Type.Object(
  { status: oneOf(['stopping']), pid: Type.Integer() },
  { description: 'FLM ends once requests under way have finished, or after proxy.drain_ms.' },
);
export type Stopping = Static<typeof Stopping>;

/** What the owner, and the next process, can ask of the process that serves. */
export interface DaemonApi {
  /** Gives up the data directory and the admin socket to whoever asks. @throws HANDOVER_UNAVAILABLE */
  handOver(): Promise<Legacy>;
  elder(report: ElderReport): Promise<ElderAnswer>;
  /** Ends FLM; what is saved is started again with it. */
  stop(): Promise<Stopping>;
}

/** A line through a pipe. `ready` carries what the command prints; `bye`: the end that comes is meant. */
export type Message =
  | { readonly type: 'ready'; readonly result: unknown }
  | { readonly type: 'failed'; readonly error: WireError; readonly exit: number }
  | { readonly type: 'bye' };

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}
