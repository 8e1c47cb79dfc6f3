/** The listeners room: the sockets of the proxies, who may reach them, and which of them run. */
export { type Connections, type CutReason, createConnections } from './connections';
export { type Endpoints, endpointsOf, interfaceAddresses, uncertifiedAdvice } from './endpoints';
export { checkExposure, type Exposure, exposureOf } from './exposure';
export { type ExposureApi, ExposureReport } from './exposure-model';
export { reportExposure } from './exposure-report';
export {
  CLIENT_CERTIFICATES,
  type ClientCertificates,
  MODES,
  type Mode,
  modeNamed,
  type ProxiesApi,
  ProxiesReloaded,
  ProxiesStopped,
  ProxyInput,
  ProxyList,
  type ProxyProfile,
  ProxySelector,
  ProxyView,
  type TlsMode,
} from './model';
export { IDLE_SECONDS } from './proxy';
export { createProxies, type Proxies } from './service';
export { createProxyStore, type ProxyStore } from './store';
export type { Entrance } from './ways-in';
