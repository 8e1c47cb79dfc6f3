/** The audit chain: who changed what, and what happened to the doors of this installation. */
export {
  type AuditApi,
  type AuditCheckpoint,
  type AuditEntry,
  AuditFilter,
  AuditList,
  AuditQuery,
  type AuditReport,
  CheckpointQuery,
  Erased,
  EraseInput,
  EXPORT_FORMATS,
  type ExportFormat,
  SEVERITIES,
  StoredCheckpoint,
  type WatchQuery,
} from './model';
export { type Audit, createAudit } from './service';
export { type AuditStore, createAuditStore } from './store';
