/** Where llama.cpp's programs lie when they are installed (FLM-043). */
import type { Env } from '../../lib/paths';
import type { InstalledProgram } from '../adapter';
import { findProgram, isFile, versionOf } from '../installed';

const VERSION = /version:?\s*(\S+)/i;

/** The first program found on the PATH, at LLAMA_CPP_PATH or in the usual folders, with what `--version` says. */
export async function findLlamaServer(env: Env): Promise<InstalledProgram | null> {
  const named = env.LLAMA_CPP_PATH;
  const found = await findProgram({
    names: ['llama-server', 'llama-cpp-server', 'llama-cli', 'llama'],
    folders: [
      ...(named === undefined ? [] : [named]),
      '/opt/llama.cpp/bin',
      'C:\\Program Files\\llama.cpp',
      'C:\\Program Files (x86)\\llama.cpp',
    ],
    homeFolders: ['llama.cpp', 'llama.cpp/build/bin'],
    env,
    version: VERSION,
  });
  if (found !== null) return found;
  return named !== undefined && isFile(named)
    ? { path: named, version: await versionOf(named, VERSION) }
    : null;
}
