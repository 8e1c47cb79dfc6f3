/** Everything that travels on the bus: facts about what happened, never requests to do something. */
import type { ActivityAnchor } from './activity';
import type { AuditEvent } from './audit';
import type { EngineKind, EngineStatus } from './engine';
import type { RequestFacts } from './request';
import type { LeaseOutcome, TicketOutcome, Usage } from './ticket';

export type Event =
  | { readonly name: 'key.created'; readonly keyId: string; readonly label: string }
  | { readonly name: 'key.revoked'; readonly keyId: string }
  | {
      readonly name: 'auth.refused';
      readonly requestId: string;
      readonly ip: string;
      readonly path: string;
      /** FLM-108; never holds anything of the key itself. */
      readonly reason:
        | 'missing_authorization_header'
        | 'invalid_authorization_format'
        | 'invalid_or_revoked_api_key';
    }
  | {
      readonly name: 'engine.changed';
      readonly engineId: string;
      readonly kind: EngineKind;
      readonly status: EngineStatus;
      readonly models: number;
    }
  | { readonly name: 'engine.removed'; readonly engineId: string }
  | {
      readonly name: 'attempt.finished';
      readonly requestId: string;
      readonly engineId: string;
      /** The engine's own name of the model. */
      readonly model: string;
      readonly outcome: LeaseOutcome;
      readonly waitedMs: number;
      /** From the Lease to its end. */
      readonly durationMs: number;
      readonly firstTokenMs: number | null;
      readonly usage: Usage | null;
    }
  /** The Ticket of a request was closed. Comes before the end of the request. */
  | {
      readonly name: 'ticket.closed';
      readonly requestId: string;
      readonly principalId: string;
      readonly model: string;
      readonly outcome: TicketOutcome;
      readonly durationMs: number;
      readonly usage: Usage | null;
    }
  /** A request takes long: told once, so that a crash does not lose every trace of it. What is not known yet is null or 0. */
  | { readonly name: 'request.opened'; readonly request: RequestFacts }
  /** Every request of a client, once, after its last byte; also those that were refused. */
  | { readonly name: 'request.finished'; readonly request: RequestFacts }
  /** The end of the request log at this moment. */
  | { readonly name: 'activity.anchored'; readonly anchor: ActivityAnchor }
  /** Something was done to the request log that belongs on record. */
  | { readonly name: 'activity.recorded'; readonly event: AuditEvent }
  | { readonly name: 'config.changed'; readonly keys: readonly string[] };

export type EventName = Event['name'];
