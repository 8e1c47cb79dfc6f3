/** The admission room: who is asking (identify), and the right to ask an engine (Ticket, Lease). */
export { createKeys, type Identified, type Keys, type Refusal } from './keys';
export { createLimitRows, createLimits, type Limits } from './limits';
export {
  type ApiKey,
  type CreatedKey,
  KEY_SCOPES,
  KeyChange,
  KeyInput,
  type KeysApi,
  type RotatedKey,
  RotateInput,
} from './model';
export { createSlots, type Slots } from './slots';
export { createKeyStore, type KeyScope, type KeyStore } from './store';
export { NO_ORIGIN } from './terms';
export { type Admission, type Allowed, createAdmission, mayUse } from './ticket';
