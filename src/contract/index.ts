/**
 * The types that more than one room speaks. No code lives here, so every floor may import it
 * without pulling anything in; what merely happened is one closed Event union.
 */
export type {
  ActivityAnchor,
  ActivityEvidence,
  ActivityRecord,
  ActivityRemoval,
  AnchorSink,
} from './activity';
export type { AuditEvent, AuditSeverity, AuditType, AuditWriter } from './audit';
export type { Cancel, CancelListener } from './cancel';
export type { Clock } from './clock';
export type {
  Capability,
  EngineKind,
  EngineModel,
  EngineOrigin,
  EngineRef,
  EngineState,
  EngineStatus,
  InferenceRoute,
  Standing,
} from './engine';
export type { Event, EventName } from './event';
export type { Candidate, Plan } from './plan';
export type { Principal, Scope } from './principal';
export type { RequestFacts, RequestTrace } from './request';
export type { RefusalReason, Screen, Visit } from './screen';
export type {
  Allowance,
  EngineGate,
  Entrant,
  Lease,
  LeaseOutcome,
  Quota,
  Seen,
  Ticket,
  TicketOutcome,
  Usage,
} from './ticket';
export type { ClientCertificate, ClientTrust, TlsContextSource, TlsMaterial, TrustPage } from './tls';
