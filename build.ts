/**
 * Builds the executable: `bun run build` makes dist/flm for this machine, `bun build.ts <target> [outfile]` for another
 * (such as bun-windows-x64). The flags are those that design §5 found necessary.
 */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BunPlugin } from 'bun';

const ROOT = import.meta.dir;

/** The prebuilt SQLite of the platform that is built for, embedded as a file (ADR 0001). */
function sqliteAddon(target: string): BunPlugin {
  const [, os, arch, libc] =
    /^bun-(linux|darwin|windows)-(x64|arm64)(?:-(musl|baseline|modern))*$/.exec(target) ?? [];
  if (os === undefined || arch === undefined)
    throw new Error(`"${target}" is no target such as bun-linux-x64`);
  const platform = os === 'windows' ? 'win32' : `${os}${libc === 'musl' ? 'musl' : ''}`;
  const path = join(ROOT, 'node_modules', 'better-sqlite3', 'prebuilds', `${platform}-${arch}.node`);
  return {
    name: 'sqlite-addon',
    setup(build) {
      build.onResolve({ filter: /^flm:sqlite-addon$/ }, () => ({ path, namespace: 'file' }));
      build.onLoad({ filter: /prebuilds[\\/].*\.node$/ }, async () => ({
        contents: await Bun.file(path).bytes(),
        loader: 'file',
      }));
    },
  };
}

function currentTarget(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  return `bun-${os}-${process.arch}`;
}

const [
  target = currentTarget(),
  outfile = join(ROOT, 'dist', target.includes('windows') ? 'flm.exe' : 'flm'),
] = process.argv.slice(2);
mkdirSync(dirname(outfile), { recursive: true });

const result = await Bun.build({
  entrypoints: [join(ROOT, 'src', 'main.ts')],
  target: 'bun',
  format: 'esm',
  bytecode: true,
  // Elysia reads the source of handlers: shorter names would break them.
  minify: { syntax: true, whitespace: true, identifiers: false },
  plugins: [sqliteAddon(target)],
  compile: {
    target: target as Bun.Build.CompileTarget,
    outfile,
    // Otherwise the executable would obey a .env or bunfig.toml of whatever directory it is started in.
    autoloadDotenv: false,
    autoloadBunfig: false,
  },
});
for (const log of result.logs) console.error(log);
if (!result.success) process.exit(1);
console.log(`${outfile}  ${(Bun.file(outfile).size / 1e6).toFixed(0)} MB  ${target}`);
