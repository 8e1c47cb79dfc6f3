/**
 * The way to the admin socket: a path that the system takes, through a folder that nobody else can put anything into.
 * Whoever connects sends keys of engines there, so both ends look before they bind or connect.
 */
import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { FlmError, reasonOf } from '../lib/errors';
import { MAX_SOCKET_PATH } from '../lib/paths';

export interface SocketWay {
  /** What bind and connect take. */
  readonly path: string;
  close(): void;
}

/**
 * The path under which the system finds `socket`, good until `close`.
 * @throws IO_ERROR when its folder or what is there under its name could be another user's
 */
export function wayTo(socket: string): SocketWay {
  try {
    requireOwn(socket);
    if (process.platform !== 'linux' || Buffer.byteLength(socket) <= MAX_SOCKET_PATH)
      return { path: socket, close() {} };
    // The folder itself, however long its name is; seen for bind, connect and the removal at the end.
    const folder = openSync(
      dirname(socket),
      constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
    );
    return { path: `/proc/self/fd/${folder}/${basename(socket)}`, close: () => closeSync(folder) };
  } catch (error) {
    throw new FlmError('IO_ERROR', {
      meta: { path: socket, reason: reasonOf(error) },
      cause: error,
      hint: 'Find out who made it and remove it, or set FLM_DATA_DIR to another directory of your own.',
    });
  }
}

function requireOwn(socket: string): void {
  if (process.platform === 'win32') return;
  const folder = lstatSync(dirname(socket));
  if (!folder.isDirectory()) throw new Error('its folder is a link or a file');
  const me = process.getuid?.() ?? 0;
  // Root may ask the FLM of whoever owns the data directory; /tmp is root's, so nobody's folder there passes.
  const asRoot = me === 0 && folder.uid === lstatSync(dirname(dirname(socket))).uid;
  if (folder.uid !== me && !asRoot) throw new Error('its folder belongs to another user');
  if ((folder.mode & 0o022) !== 0) throw new Error('others may write to its folder');
  const there = lstatSync(socket, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket()) throw new Error('it is no socket');
  if (there.uid !== folder.uid) throw new Error('it belongs to another user');
}
