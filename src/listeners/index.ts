/** The listeners room: the sockets of the proxies, who may reach them, and which of them run. */
export { type Endpoints, endpointsOf } from './endpoints';
export { checkExposure, type Exposure, exposureOf } from './exposure';
export type { ProxyHandle, ProxyProfile } from './model';
export { type Handler, type Listener, listen } from './proxy';
export { createProxyStore, type ProxyStore } from './store';
