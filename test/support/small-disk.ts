/** A disk of a few kilobytes, to be full or read-only: a tmpfs, for which the tests have to run as root on Linux. */
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tellSkipped } from './missing';

export interface SmallDisk {
  readonly dir: string;
  remount(mode: 'ro' | 'rw'): void;
  /** Changes how much fits. Less than is there already makes it full. */
  resize(bytes: number): void;
  unmount(): void;
}

/** Mounts one, or returns null after saying aloud that its tests are left out here. Whoever mounts unmounts. */
export function mountSmall(bytes: number): SmallDisk | null {
  const dir = mkdtempSync(join(tmpdir(), 'flm-disk-'));
  const run = (...command: string[]) => Bun.spawnSync(command, { stderr: 'pipe' });
  const allowed = process.platform === 'linux' && process.getuid?.() === 0;
  const result = allowed ? run('mount', '-t', 'tmpfs', '-o', `size=${bytes},mode=700`, 'tmpfs', dir) : null;
  if (result?.exitCode !== 0) {
    const reason = result?.stderr.toString().trim() ?? 'not root on Linux';
    tellSkipped(`a full or read-only disk (no small disk can be mounted here: ${reason})`);
    rmdirSync(dir);
    return null;
  }
  const remount = (options: string) => {
    const { exitCode, stderr } = run('mount', '-o', `remount,${options}`, dir);
    if (exitCode !== 0) throw new Error(`remount,${options}: ${stderr.toString()}`);
  };
  return {
    dir,
    remount: (mode) => remount(mode),
    resize: (size) => remount(`size=${size}`),
    unmount() {
      run('umount', '-l', dir);
      rmdirSync(dir);
    },
  };
}
