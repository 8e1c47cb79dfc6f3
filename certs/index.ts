/** The certs room: private authorities, certificates that the owner brings, and the stores of those who have to trust them. */
export { fingerprintOf } from './certificate';
export { type ClientTrustOptions, openClientTrust } from './clients';
export { qrText } from './export/qr';
export { type Given as GivenFile, unlock } from './manual/unlock';
export {
  AUTHORITY_MODES,
  type AuthorityMode,
  type CaInput,
  CaStatus,
  CertificateInput,
  CertificateList,
  CertificateView,
  type Certs,
  type CertsApi,
  type Expiry,
  type Finding,
  RootView,
  RotateCaInput,
} from './model';
export { type MachineNames, OWN_NAME, thisMachine } from './names';
export { createCerts } from './service';
export { type CertStore, createCertStore } from './store';
export { contentOf } from './trust-page';
export { FILES, type FileKind } from './trust-page/words';
export {
  installRoots,
  type StoreReport,
  type TrustMachine,
  type TrustRoot,
  trustRootOf,
  uninstallRoots,
} from './trust-store';
export { createTrustCheck, isAutoInstall } from './trust-store/at-start';
export { layDown, thisTrustMachine } from './trust-store/this-machine';
