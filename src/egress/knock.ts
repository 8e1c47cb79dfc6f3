/** Knocks at a port of this machine, and goes away again when somebody opens. */

const QUIET = { data() {}, error() {}, connectError() {} };

/** Whether a TCP connection to that address is taken within that time. Never rejects. */
export async function knock(ip: string, port: number, timeoutMs: number): Promise<boolean> {
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
