/** This machine, and the roots that its stores are to trust or to forget. */
import { readFileSync } from 'node:fs';
import {
  layDown,
  type RootView,
  type TrustMachine,
  type TrustRoot,
  thisTrustMachine,
  trustRootOf,
} from '../../../certs';
import { ownProgram } from '../../../src/daemon';
import { FlmError, reasonOf } from '../../../src/lib/errors';
import type { Cli } from '../../cli';

export const CERT_PATH_ARG = {
  'cert-path': {
    type: 'string',
    valueHint: 'file',
    description: 'A root as PEM. Default: that of this installation.',
  },
} as const;

/** `verb` and `file`: what root has to run where this user may not. */
export function trustMachine({ env }: Cli, verb: 'install-ca' | 'uninstall-ca', file: string): TrustMachine {
  return thisTrustMachine({ env, command: [...ownProgram(), 'security', verb, '--cert-path', file] });
}

/** Lays the root down as a file, for programs that want one. @throws IO_ERROR */
export function asFile({ paths }: Cli, root: RootView): TrustRoot {
  return trustRootOf(root.certificate_pem, layDown(paths.certsDir, root));
}

/** @throws CA_FILE_INVALID */
export function fromFile(path: string): TrustRoot {
  try {
    return trustRootOf(readFileSync(path, 'latin1'), path);
  } catch (error) {
    if (error instanceof FlmError) throw error;
    throw new FlmError('CA_FILE_INVALID', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
}
