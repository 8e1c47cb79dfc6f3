/** The security room: who is let in before anybody looks at a key, and what strangers do (FLM-111 to FLM-117). */
export {
  type AddressStanding,
  type AnomalyList,
  AnomalyQuery,
  BanInput,
  type BanList,
  BanQuery,
  type BansCleared,
  type BanView,
  type IntrusionList,
  IntrusionQuery,
  type SecurityApi,
  type SecurityStats,
  SourceQuery,
  type Unbanned,
} from './model';
export type { AdmitStranger } from './screen';
export { createSecurity, type Security, type SecurityOptions } from './service';
export { createSecurityStore, type SecurityStore } from './store';
