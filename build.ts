/**
 * Builds the executable: `bun run build` makes dist/flm for this machine, `bun build.ts <target> [outfile]` for another
 * (such as bun-windows-x64). The flags are those that design §5 found necessary. `bun build.ts npm` makes what the npm
 * package holds: scripts that need Bun and the package's dependencies.
 */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BuildConfig, BunPlugin } from 'bun';

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

/** One program for one platform, with the runtime and SQLite inside. */
function executable(target: string, outfile: string): BuildConfig {
  return {
    ...COMMON,
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
  };
}

/** Built too, because macros, which embed the migrations, do not run below node_modules. */
function npmScripts(outfile: string): BuildConfig {
  return {
    ...COMMON,
    outdir: dirname(outfile),
    naming: { asset: '[name]-[hash].[ext]' },
    // Or the first line of the one script would load everything, also for `flm version`.
    splitting: true,
    packages: 'external',
    external: ['flm:sqlite-addon'],
    plugins: [swaggerUi],
  };
}

/** The page of the admin API is in the package itself, so that whoever installs it gets nothing of its makers beside it. */
const swaggerUi: BunPlugin = {
  name: 'swagger-ui',
  setup(build) {
    const filter = /[\\/]swagger-ui-dist[\\/].*\.(?:js|css)$/;
    build.onResolve({ filter: /^swagger-ui-dist\// }, ({ path }) => ({
      path: join(ROOT, 'node_modules', path),
      namespace: 'file',
    }));
    build.onLoad({ filter }, async ({ path }) => ({
      contents: await Bun.file(path).bytes(),
      loader: 'file',
    }));
  },
};

const COMMON = {
  // Workers are programs of their own (src/activity/paths.ts and src/app/check-databases.ts know where they end up).
  entrypoints: ['main.ts', 'activity/worker.ts', 'app/check-worker.ts'].map((path) =>
    join(ROOT, 'src', path),
  ),
  root: join(ROOT, 'src'),
  target: 'bun',
  format: 'esm',
} as const satisfies BuildConfig;

const [target = currentTarget(), given] = process.argv.slice(2);
const npm = target === 'npm';
const name = npm ? 'npm/flm.js' : target.includes('windows') ? 'flm.exe' : 'flm';
const outfile = given ?? join(ROOT, 'dist', name);
if (npm) rmSync(dirname(outfile), { recursive: true, force: true });
mkdirSync(dirname(outfile), { recursive: true });

const result = await Bun.build(npm ? npmScripts(outfile) : executable(target, outfile));
for (const log of result.logs) console.error(log);
if (!result.success) process.exit(1);
if (npm) renameSync(join(dirname(outfile), 'main.js'), outfile);
console.log(`${outfile}  ${(Bun.file(outfile).size / 1e6).toFixed(1)} MB  ${target}`);
