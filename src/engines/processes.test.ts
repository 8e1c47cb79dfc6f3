/** Programs that listen: found by what Linux tells, and only those that name an engine. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestDir, testDir } from '../../test/support/data-dir';
import { createProcessTable } from './processes';

let data: TestDir;
let proc: string;
beforeEach(() => {
  data = testDir();
  proc = join(data.dir, 'proc');
  mkdirSync(join(proc, 'net'), { recursive: true });
});
afterEach(() => data[Symbol.dispose]());

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const ROW = (local: string, state: string, inode: number) =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0000000000000000 100 0 0 10 0\n`;

function table(name: 'tcp' | 'tcp6', ...rows: string[]): void {
  writeFileSync(join(proc, 'net', name), HEAD + rows.join(''));
}

function program(pid: number, command: string[], inodes: number[], environ: string[] = []): void {
  mkdirSync(join(proc, String(pid), 'fd'), { recursive: true });
  writeFileSync(join(proc, String(pid), 'cmdline'), `${command.join('\0')}\0`);
  writeFileSync(join(proc, String(pid), 'environ'), environ.map((each) => `${each}\0`).join(''));
  for (const [fd, inode] of inodes.entries()) {
    symlinkSync(`socket:[${inode}]`, join(proc, String(pid), 'fd', String(fd + 3)));
  }
}

const found = async () =>
  (await createProcessTable(proc).engines()).map(({ pid, baseUrl }) => `${pid} ${baseUrl}`);

describe('createProcessTable', () => {
  test('finds engines on loopback and on every address, by IPv4 before IPv6', async () => {
    table('tcp', ROW('0100007F:1F91', '0A', 11), ROW('00000000:1F92', '0A', 12));
    table(
      'tcp6',
      ROW('00000000000000000000000000000000:1F92', '0A', 13),
      ROW('00000000000000000000000001000000:1F93', '0A', 14),
    );
    program(100, ['/usr/bin/llama-server', '--port', '8081'], [11]);
    program(200, ['ollama', 'serve'], [12, 13]);
    program(300, ['python3', '-m', 'vllm.entrypoints.openai.api_server'], [14]);
    expect(await found()).toEqual([
      '100 http://127.0.0.1:8081',
      '200 http://127.0.0.1:8082',
      '300 http://[::1]:8083',
    ]);
  });

  test('finds nobody else: databases, connections, other addresses, the inner works of Ollama and vLLM', async () => {
    table(
      'tcp',
      ROW('0100007F:1538', '0A', 21),
      ROW('0501A8C0:1F90', '0A', 22),
      ROW('0100007F:9999', '0A', 23),
      ROW('0100007F:9A9A', '0A', 25),
      ROW('0100007F:9A9B', '0A', 26),
      ROW('0100007F:1F90', '01', 24),
    );
    program(100, ['postgres', '-D', '/data'], [21]);
    program(200, ['llama-server'], [22, 24]);
    program(300, ['/usr/local/bin/ollama', 'runner', '--model', 'x'], [23]);
    program(400, ['VLLM::Worker_TP0'], [25]);
    program(500, ['VLLM::EngineCore_DP0'], [26]);
    expect(await found()).toEqual([]);
  });

  test('finds one of several servers of a vLLM, which are called by a title', async () => {
    table('tcp', ROW('0100007F:1F40', '0A', 27));
    program(100, ['VLLM::APIServer_0'], [27]);
    expect(await found()).toEqual(['100 http://127.0.0.1:8000']);
  });

  test('tells a variable of the program, and nothing where there is none', async () => {
    table('tcp', ROW('0100007F:2CAA', '0A', 31));
    program(100, ['ollama', 'serve'], [31], ['OLLAMA_NUM_PARALLEL=4', 'OLLAMA_NUM=9']);
    const [ollama] = await createProcessTable(proc).engines();
    expect([ollama?.variable('OLLAMA_NUM_PARALLEL'), ollama?.variable('OLLAMA_N')]).toEqual(['4', null]);
  });

  test('looks at programs again only when a listener has come', async () => {
    table('tcp', ROW('0100007F:1F91', '0A', 41));
    const processes = createProcessTable(proc);
    expect(await processes.engines()).toEqual([]);
    program(100, ['llama-server'], [41, 42]);
    expect(await processes.engines()).toEqual([]); // Nobody new listens.
    table('tcp', ROW('0100007F:1F91', '0A', 41), ROW('0100007F:1F92', '0A', 42));
    expect((await processes.engines()).map(({ baseUrl }) => baseUrl)).toEqual([
      'http://127.0.0.1:8081',
      'http://127.0.0.1:8082',
    ]);
    table('tcp');
    expect(await processes.engines()).toEqual([]);
  });

  test('finds nothing where there is no /proc', async () => {
    expect(await createProcessTable(join(data.dir, 'nowhere')).engines()).toEqual([]);
  });
});
