/** Knocks at a port of this machine, and goes away again when somebody opens. Never leaves it, so no tunnel is for it. */
import { isOwnAddress } from './own';

const QUIET = { data() {}, error() {}, connectError() {} };

/** Whether a TCP connection to that address of this machine is taken within that time; no other is tried. Never rejects. */
export async function knock(ip: string, port: number, timeoutMs: number): Promise<boolean> {
  if (!isOwnAddress(ip)) return false;
  const tooLate = Promise.withResolvers<false>();
  const timer = setTimeout(() => tooLate.resolve(false), timeoutMs);
  const opened = Bun.connect({ hostname: ip, port, socket: QUIET }).then(
    (socket) => {
      socket.terminate();
      return true;
    },
    () => false,
  );
  try {
    return await Promise.race([opened, tooLate.promise]);
  } finally {
    clearTimeout(timer);
  }
}
