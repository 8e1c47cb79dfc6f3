/** The daemon room: FLM in the background, its supervisor, and how one process takes over from another. */
export { canRaiseFetchCap, raiseFetchCap } from './fetch-cap';
export { openDaemonLog, UNLIMITED } from './log-file';
export { lineOf, readMessages } from './messages';
export type { DaemonApi, ElderAnswer, ElderReport, Legacy, Message, RunBy, Stopping } from './model';
export { RUN_BY } from './model';
export { connectServiceManager, hasServiceManager, type ServiceManager } from './notify';
export {
  adoptServer,
  type Link,
  linkToSupervisor,
  type Order,
  type SupervisorOrder,
  startServer,
  startSupervisor,
} from './processes';
export { ownProgram, SERVE, SUPERVISE } from './program';
export { createDaemon, type Daemon, type DaemonOptions } from './service';
export { createSupervisor } from './supervisor';
export { LAUNCHD_LABEL, launchdPlist, type ServiceOptions, systemdUnit, UNIT_NAME } from './units';
