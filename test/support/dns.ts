/** A name server that says the same of every name: `bun test/support/dns.ts <address it listens on> <address it tells>`. */
export {};

const [host = '', answer = ''] = process.argv.slice(2);
const told = Buffer.from(answer.split('.').map(Number));

await Bun.udpSocket({
  hostname: host,
  port: 53,
  socket: {
    data(socket, query, port, address) {
      const end = query.indexOf(0, 12) + 5;
      const isA = query.readUInt16BE(end - 4) === 1;
      const head = Buffer.from(query.subarray(0, 12));
      // RFC 1035 §4.1.1: an answer, recursion available, one question, one record or none, nothing else.
      head.writeUInt16BE(0x8180, 2);
      head.writeUInt16BE(1, 4);
      head.writeUInt16BE(isA ? 1 : 0, 6);
      head.fill(0, 8);
      const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...told]);
      socket.send(Buffer.concat([head, query.subarray(12, end), ...(isA ? [record] : [])]), port, address);
    },
  },
});
console.log('listening');
