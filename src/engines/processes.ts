/**
 * Programs on this machine that listen on loopback and look like engines, by what Linux tells under /proc: where an
 * engine listens is its owner's choice. Only programs whose command line names an engine are returned, so that no
 * database or printer is ever asked whether it is one.
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface ListeningProgram {
  readonly pid: number;
  /** As `ps` shows it, arguments included; not for logs: arguments can hold keys. */
  readonly command: string;
  /** `http://127.0.0.1:8081`, or with `[::1]` where it listens on IPv6 only. */
  readonly baseUrl: string;
  /** A variable of the environment it was started with, where this user may look. */
  variable(name: string): string | null;
}

/** Words in the command lines of engines and of the servers around them. */
const ENGINE_WORDS =
  /ollama|llama|vllm|sglang|lm[ _-]?studio|llmster|koboldcpp|local-?ai|text-generation|tabbyapi|aphrodite|exllama|mlx|mistral\.?rs|gguf/i;

/**
 * Helpers that serve their own engine alone: Ollama's, one for each model, and vLLM's, which are known by a title and
 * listen on a dozen ports each where nobody answers HTTP.
 */
const INNER_WORKS = /\bollama(?:\.exe)? runner\b|^VLLM::(?!APIServer)/;

/** Addresses in /proc/net/tcp, as their bytes stand in memory. */
const HERE_4 = new Set(['0100007F', '00000000']);
const HERE_6 = new Set(['00000000000000000000000001000000', '00000000000000000000000000000000']);
const LISTENING = '0A';
/** Programs looked at before others get their turn. */
const BATCH = 64;
const PIECE_BYTES = 8_192;
/** Below this are the accounts of the system: root, and services such as Ollama's. */
const FIRST_PERSON_UID = 1_000;

export interface ProcessTable {
  /** Looks at programs again only when a listener has come since the last time. */
  engines(): Promise<readonly ListeningProgram[]>;
}

/** Finds nothing where there is no /proc. */
export function createProcessTable(procDir = '/proc'): ProcessTable {
  let known = new Map<string, ListeningProgram | null>();

  return {
    async engines() {
      const sockets = listeningSockets(procDir);
      if ([...sockets.keys()].some((inode) => !known.has(inode))) {
        const owners = await engineSockets(procDir);
        known = new Map(
          [...sockets].map(([inode, baseUrl]) => [inode, programOf(owners.get(inode), baseUrl, procDir)]),
        );
      }
      return [...sockets.keys()].flatMap((inode) => known.get(inode) ?? []);
    },
  };
}

/** Base URLs of listeners that loopback leads to, by the inode of their socket. IPv4 wins where both are there. */
function listeningSockets(procDir: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const ports = new Set<number>();
  const tables = [
    ['tcp', HERE_4, '127.0.0.1'],
    ['tcp6', HERE_6, '[::1]'],
  ] as const;
  for (const [name, here, host] of tables) {
    for (const [local, inode] of listenersIn(join(procDir, 'net', name))) {
      const [address = '', hexPort = ''] = local.split(':');
      const port = Number.parseInt(hexPort, 16);
      if (!here.has(address) || ports.has(port)) continue;
      ports.add(port);
      found.set(inode, `http://${host}:${port}`);
    }
  }
  return found;
}

/**
 * Local address and inode of every listener in a table of sockets. The kernel writes listeners first and makes lines as
 * they are read, so nothing is read of the connections behind them, of which a busy gateway has thousands.
 */
function listenersIn(path: string): [local: string, inode: string][] {
  const found: [string, string][] = [];
  for (const line of linesOf(path)) {
    const [slot = '', local = '', , state, , , , , , inode = '0'] = line.trim().split(/\s+/);
    if (slot === 'sl') continue;
    if (state !== LISTENING) break;
    found.push([local, inode]);
  }
  return found;
}

/** Lines of a file, read piece by piece as they are taken. */
function* linesOf(path: string): Generator<string> {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const piece = Buffer.alloc(PIECE_BYTES);
    let rest = '';
    for (let size = readSync(file, piece); size > 0; size = readSync(file, piece)) {
      const lines = (rest + piece.toString('latin1', 0, size)).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch {
    // No such file: not Linux, or no IPv6.
  } finally {
    if (file !== null) closeSync(file);
  }
}

interface Owner {
  readonly pid: number;
  readonly command: string;
}

/** The sockets that programs with an engine's name hold. Other users' programs cannot be looked into. */
async function engineSockets(procDir: string): Promise<ReadonlyMap<string, Owner>> {
  const owners = new Map<string, Owner>();
  const pids = namesIn(procDir).filter((name) => /^\d+$/.test(name));
  for (const [index, pid] of pids.entries()) {
    if (index % BATCH === BATCH - 1) await new Promise(setImmediate);
    if (!isTrusted(join(procDir, pid))) continue;
    const command = textOf(join(procDir, pid, 'cmdline'))
      .replaceAll('\0', ' ')
      .trim();
    if (!ENGINE_WORDS.test(command) || INNER_WORKS.test(command)) continue;
    const folder = join(procDir, pid, 'fd');
    for (const fd of namesIn(folder)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(join(folder, fd)))?.[1];
      if (inode !== undefined) owners.set(inode, { pid: Number(pid), command });
    }
  }
  return owners;
}

function programOf(owner: Owner | undefined, baseUrl: string, procDir: string): ListeningProgram | null {
  if (owner === undefined) return null;
  return {
    ...owner,
    baseUrl,
    variable(name) {
      const all = textOf(join(procDir, String(owner.pid), 'environ')).split('\0');
      return all.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
    },
  };
}

/** Whoever may start programs here could call one by an engine's name and be sent what clients ask: only the owner may. */
function isTrusted(path: string): boolean {
  const uid = statSync(path, { throwIfNoEntry: false })?.uid;
  return uid !== undefined && (uid === process.getuid?.() || uid < FIRST_PERSON_UID);
}

/** Files under /proc are made when they are read, and may be gone or forbidden at any moment: then they are empty. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
