/** The audit chain: who changed what, and what happened to the doors of this installation. */
export { type Audit, createAudit } from './service';
export { type AuditStore, createAuditStore } from './store';
