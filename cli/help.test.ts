import { describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { everyCommand } from '../test/support/commands';
import { isGroup } from './command';
import { PROGRAM } from './commands';
import { renderHelp, usageLine } from './help';
import { checkArgs, findCommand } from './strict';

const commands = await everyCommand();

/**
 * The arguments of every `flm` that a command line of an example calls, as a shell hands them over. Everything else that
 * the examples call is there in name only.
 */
async function callsIn(example: string): Promise<string[][]> {
  const dir = mkdtempSync(join(tmpdir(), 'flm-example-'));
  try {
    const bin = join(dir, 'bin');
    for (const folder of ['bin', '.zfunc', '.config/fish/completions'])
      mkdirSync(join(dir, folder), { recursive: true });
    const calls = join(dir, 'calls');
    const stub = (name: string, text: string) => {
      writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
      chmodSync(join(bin, name), 0o755);
    };
    stub('flm', `{ printf '%s\\0' "$@"; echo; } >> '${calls}'`);
    for (const name of ['git', 'jq']) stub(name, 'exit 0');
    const shell = Bun.spawn(['bash', '-euc', example], {
      cwd: dir,
      env: { PATH: `${bin}:${process.env.PATH}`, HOME: dir },
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'inherit',
    });
    expect(await shell.exited).toBe(0);
    const lines = readFileSync(calls, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => line.split('\0').slice(0, -1));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

describe.each(commands)('flm $name', ({ path, command }) => {
  test('explains in lines that fit a terminal', () => {
    for (const line of command.details) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('says in a sentence what it is for, and what each of its arguments is for', () => {
    expect(command.about).toMatch(/^[A-Z].+\.$|^[A-Z].+:.+\.$/);
    for (const [name, arg] of Object.entries(command.args))
      expect({ name, about: arg.description }).toEqual({ name, about: expect.stringMatching(/^[A-Z].*\S$/) });
  });

  test('has examples, and every one of them would run', async () => {
    expect(command.examples.length).toBeGreaterThan(0);
    for (const example of command.examples) {
      const calls = await callsIn(example);
      expect({ example, calls: calls.length }).toEqual({ example, calls: 1 });
      for (const words of calls) {
        const found = await findCommand(PROGRAM, words);
        expect(found.path).toEqual(path);
        checkArgs(command, found.rawArgs);
      }
    }
  });

  test('its help shows the usage, every option and every example', async () => {
    const help = await renderHelp(path, command);
    expect(help).toStartWith(`${command.about}\n\nUsage: ${usageLine(path, command)}\n`);
    for (const [name, arg] of Object.entries(command.args)) {
      expect(help).toContain(arg.type === 'positional' ? name : `--${name}`);
      expect(help).toContain(arg.description ?? '');
    }
    for (const example of command.examples) expect(help).toContain(`  ${example}\n`);
    expect(help).toContain('-h, --help');
    // One that writes files has formats of its own.
    if (command.args.format === undefined) expect(help).toContain('--format <text|json>');
  });

  test('an option that may be given more than once says so', () => {
    for (const [name, { description = '' }] of Object.entries(command.args))
      expect({ name, said: description.includes('repeatable') }).toEqual({
        name,
        said: command.repeatable.includes(name),
      });
  });
});

describe('usage lines', () => {
  test.each([
    ['api-keys create', 'flm api-keys create --label <label> [options]'],
    ['api-keys rotate', 'flm api-keys rotate <id> [options]'],
    ['engines add', 'flm engines add --url <url> [options]'],
    ['config set', 'flm config set <key> <value> [options]'],
    ['chat', 'flm chat [prompt...] [options]'],
    ['status', 'flm status [options]'],
  ])('%s', (name, line) => {
    const found = commands.find((entry) => entry.name === name);
    expect(found === undefined ? null : usageLine(found.path, found.command)).toBe(line);
  });
});

describe('a group', () => {
  test('lists what is below it', async () => {
    const help = await renderHelp([], PROGRAM);
    expect(help).toContain('Usage: flm <command>\n');
    for (const [name, entry] of Object.entries(PROGRAM.commands)) {
      const about = isGroup(entry) ? entry.about : (await entry()).about;
      expect(help).toMatch(
        new RegExp(`^  ${name} +${about.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`, 'm'),
      );
    }
  });

  test('fits a line of 110 characters, so that columns stay columns', async () => {
    for (const path of [[], ['engines'], ['models'], ['api-keys'], ['config']]) {
      const { target } = await findCommand(PROGRAM, path);
      const longest = Math.max(...(await renderHelp(path, target)).split('\n').map((line) => line.length));
      expect({ path, longest: longest <= 110 }).toEqual({ path, longest: true });
    }
  });
});
