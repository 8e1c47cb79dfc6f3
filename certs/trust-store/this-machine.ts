/** This machine as the stores of roots need it, and roots as files for their programs. */
import { chmodSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ensurePrivateDir, writeFileAtomic } from '../../src/lib/files';
import type { RootView } from '../model';
import type { TrustMachine } from './machine';

/** Who asks, and how this FLM was started. */
export interface ThisMachineOptions {
  /** For the programs that are run, and for whose home it is. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How this FLM is started, word by word, and what root has to do with it where this user may not. */
  readonly command: readonly string[];
}

/** The machine that this process runs on; its programs get the environment without what is FLM's own. */
export function thisTrustMachine({ env, command }: ThisMachineOptions): TrustMachine {
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? 0,
    home: env.HOME || homedir(),
    root: '/',
    asRoot: ['sudo', ...command].map(shellWord).join(' '),
    has: (program) => Bun.which(program) !== null,
    async run(words, input) {
      const program = words[0] === undefined ? null : Bun.which(words[0]);
      if (program === null) return { code: 127, output: `there is no ${words[0]} here` };
      const child = Bun.spawn([program, ...words.slice(1)], {
        // What is FLM's own is no business of theirs: a passphrase may be among it.
        env: Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('FLM_'))),
        stdin: input === undefined ? 'ignore' : new Blob([input]),
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

/** A word as a shell has to be given it. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Where a root lies as PEM, readable by everybody who may enter the folder. */
export function rootFileIn(dir: string, { fingerprint }: Pick<RootView, 'fingerprint'>): string {
  return join(dir, `flm-ca-${fingerprint.replaceAll(':', '').slice(0, 16)}.crt`);
}

/** Lays a root down there. @throws IO_ERROR */
export function layDown(dir: string, root: Pick<RootView, 'fingerprint' | 'certificate_pem'>): string {
  ensurePrivateDir(dir);
  const file = rootFileIn(dir, root);
  writeFileAtomic(file, root.certificate_pem);
  chmodSync(file, 0o644);
  return file;
}
