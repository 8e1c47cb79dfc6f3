/** Everything that travels on the bus: facts about what happened, never requests to do something. */
import type { AuditSeverity } from './audit';
import type { EngineKind, EngineStatus } from './engine';
import type { RequestFacts } from './request';
import type { RefusalReason } from './screen';
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
      readonly reason: RefusalReason;
    }
  /** Somebody showed what no client shows, or did what no client does (FLM-113, FLM-114, FLM-116). */
  | {
      readonly name: 'security.signal';
      readonly requestId: string | null;
      readonly ip: string;
      readonly kind: 'intrusion' | 'anomaly' | 'honeypot' | 'resource';
      readonly pattern: string;
      /** What this one counts, and what the address has in all. */
      readonly score: number;
      readonly total: number;
      readonly severity: AuditSeverity;
    }
  /** An address or network is refused from now on, or no longer. */
  | {
      readonly name: 'security.ban';
      readonly network: string;
      readonly state: 'banned' | 'lifted';
      readonly isAutomatic: boolean;
      readonly reason: string;
    }
  /** A limit refused a request: of a key, an address, or all together. */
  | {
      readonly name: 'limit.exceeded';
      readonly requestId: string;
      readonly limit: 'key' | 'address' | 'global';
      readonly unit: 'requests' | 'tokens' | 'parallel';
      readonly subject: string;
    }
  | { readonly name: 'policy.changed'; readonly version: number }
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
  /** What became of the tunnel that everything leaves through. `bypassed`: it is down, and requests go around it. */
  | {
      readonly name: 'egress.changed';
      readonly mode: 'direct' | 'tor' | 'socks5';
      readonly state: 'direct' | 'starting' | 'up' | 'down' | 'bypassed';
      readonly reason: string | null;
    }
  | { readonly name: 'config.changed'; readonly keys: readonly string[] };

export type EventName = Event['name'];
