/**
 * Whether this machine trusts the root that its proxies show (FLM-094): looked up once they listen. A machine that does not is
 * told so once for each root, or is made to trust it where its owner has asked for that beforehand.
 */
import { existsSync, rmSync } from 'node:fs';
import { writeFileAtomic } from '../../src/lib/files';
import type { Log } from '../../src/lib/log';
import type { AuthorityMode, CertsApi, RootView } from '../model';
import { installRoots, isTrustedBySystem, trustRootOf } from './index';
import type { TrustMachine, TrustRoot } from './machine';
import { layDown, rootFileIn } from './this-machine';

/** What the look at a start needs. */
export interface TrustCheckOptions {
  readonly certs: Pick<CertsApi, 'status'>;
  /** Where roots lie as files. */
  readonly dir: string;
  /** FLM_AUTO_INSTALL_CA: whether a root that is missing is installed. */
  readonly isAuto: boolean;
  readonly machine: (file: string) => TrustMachine;
  readonly log: Log;
}

/** The look at a start; each process takes it once. */
export interface TrustCheck {
  /** A proxy of this mode listens. Looks at the store in the background, once; for roots that machines are made to trust. */
  begin(mode: AuthorityMode): void;
  /** Resolves when nothing is under way any more. */
  close(): Promise<void>;
}

/** Does nothing before `begin`, and throws nothing: what goes wrong is in the log. */
export function createTrustCheck({ certs, dir, isAuto, machine, log }: TrustCheckOptions): TrustCheck {
  let work: Promise<void> | null = null;
  const asTrustRoot = (view: RootView): TrustRoot => trustRootOf(view.certificate_pem, rootFileIn(dir, view));

  async function check(): Promise<void> {
    const ofMode = (await certs.status()).roots.filter(({ mode }) => mode === 'packaged-ca');
    const root = ofMode.find(({ status }) => status === 'current');
    if (root === undefined) return;
    const told = `${rootFileIn(dir, root)}.told`;
    const wanted = asTrustRoot(root);
    const place = machine(wanted.file);
    const isTrusted = await isTrustedBySystem(place, wanted);
    if (isTrusted === true) return rmSync(told, { force: true });
    if (isAuto) return install(place, root, ofMode);
    // A store that FLM cannot read says nothing either way.
    if (isTrusted === null || existsSync(told)) return;
    layDown(dir, root);
    writeFileAtomic(told, '');
    log.info('this machine does not trust the root of FLM yet: flm security install-ca', {
      root: root.common_name,
    });
  }

  async function install(place: TrustMachine, root: RootView, ofMode: readonly RootView[]): Promise<void> {
    const ended = ofMode.filter(({ status }) => status === 'ended');
    // Programs of stores want files.
    for (const view of [root, ...ended]) layDown(dir, view);
    const reports = await installRoots(place, asTrustRoot(root), ended.map(asTrustRoot));
    for (const { store, result, message } of reports) {
      const write = result === 'failed' ? log.warn : log.info;
      write('the root of FLM and a store of this machine', { store, result, reason: message });
    }
  }

  return {
    begin(mode) {
      if (mode !== 'packaged-ca' || work !== null) return;
      work = check().catch((error: unknown) =>
        log.warn('whether this machine trusts the root of FLM could not be found out', { error }),
      );
    },
    async close() {
      await work;
    },
  };
}

/** Whether the variable says yes: anything but 0, false, no and off. */
export function isAutoInstall(value: string | undefined): boolean {
  return value !== undefined && !/^(?:|0|false|no|off)$/i.test(value.trim());
}
