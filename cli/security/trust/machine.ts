/** This machine, and the roots that its stores are to trust or to forget. */
import { chmodSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type RootView, type TrustMachine, type TrustRoot, trustRootOf } from '../../../certs';
import { ownProgram } from '../../../src/daemon';
import { FlmError, reasonOf } from '../../../src/lib/errors';
import { ensurePrivateDir, writeFileAtomic } from '../../../src/lib/files';
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
  const words = ['sudo', ...ownProgram(), 'security', verb, '--cert-path', file];
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? 0,
    home: env.HOME || homedir(),
    root: '/',
    asRoot: words.map(shellWord).join(' '),
    has: (program) => Bun.which(program) !== null,
    async run(command) {
      const program = command[0] === undefined ? null : Bun.which(command[0]);
      if (program === null) return { code: 127, output: `there is no ${command[0]} here` };
      const child = Bun.spawn([program, ...command.slice(1)], {
        env: { ...env },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const [out, err] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      return { code: await child.exited, output: out + err };
    },
  };
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Lays the root down as a file, for programs that want one. @throws IO_ERROR */
export function asFile({ paths }: Cli, { certificate_pem: pem, fingerprint }: RootView): TrustRoot {
  ensurePrivateDir(paths.certsDir);
  const file = join(paths.certsDir, `flm-ca-${fingerprint.replaceAll(':', '').slice(0, 16)}.crt`);
  writeFileAtomic(file, pem);
  chmodSync(file, 0o644);
  return trustRootOf(pem, file);
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
